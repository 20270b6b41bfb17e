"""How good a recogniser is: each figure of a card, from sequences that it was never trained on.

Measured the way the service works: windows of real time, probabilities averaged over a sequence's windows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from pipeline.features import make_features
from pipeline.recognise import calibrate, call_still
from pipeline.values import SkeletonClip
from training.augment import Augmentation, draw_still_window, torso_length, view
from training.recipe import Recipe
from training.windows import Example, cover

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# Windows in, logits [N, K] out: a trained module or an exported bundle.
Classifier = Callable[[Sequence[SkeletonClip]], F32]

NOISE_JITTER = 0.03
NOISE_MISSING = 0.15
NOISE_WINDOW_S = 2.0
STRIDE_S = 0.5
CALM = Augmentation(
    partial_rate=0, jitter=0, wander=0, head_shift=0, missing_share=0, lost_joint_rate=0, cut_off_rate=0, swap_rate=0
)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a classifier said of N sequences or windows: probabilities, and the labels that are true."""

    probabilities: Float32[F32, "N K"]
    truth: tuple[str, ...]
    labels: tuple[str, ...]

    def top1(self, *, among: Sequence[str] | None = None) -> float:
        """Return the share whose best label is the true one; ``among`` restricts the answers, as a closed test does."""
        allowed = np.array([among is None or label in among for label in self.labels])
        best = np.where(allowed, self.probabilities, -1).argmax(axis=1)
        return float(np.mean([self.labels[place] == truth for place, truth in zip(best, self.truth, strict=True)]))

    def reported(self, thresholds: Mapping[str, float], silent: Sequence[str | None]) -> list[str | None]:
        """Return what the service would report of each: the best label if it is sure enough and no silent one."""
        best = self.probabilities.argmax(axis=1)
        named = [self.labels[place] for place in best]
        scores = self.probabilities.max(axis=1)
        return [
            label if label not in silent and score >= thresholds.get(label, 0.6) else None
            for label, score in zip(named, scores, strict=True)
        ]


def judge_sequences(
    classify: Classifier,
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    window_s: float,
    temperature: float = 1.0,
) -> Outcome:
    """Average each sequence's windows."""
    windows = [cover(example.clip(), window_s=window_s, stride_s=STRIDE_S) for example in examples]
    return _judge(classify, windows, [example.label for example in examples], labels, temperature)


def judge_noisy(
    classify: Classifier, examples: Sequence[Example], labels: Sequence[str], *, temperature: float = 1.0, seed: int = 0
) -> Outcome:
    """Average each sequence's 2-second windows under simulated pose noise."""
    rng = np.random.default_rng(seed)
    noisy = [add_test_noise(example.clip(), rng) for example in examples]
    windows = [cover(clip, window_s=NOISE_WINDOW_S, stride_s=STRIDE_S) for clip in noisy]
    return _judge(classify, windows, [example.label for example in examples], labels, temperature)


def each_noisy_window(
    classify: Classifier, examples: Sequence[Example], labels: Sequence[str], *, temperature: float = 1.0, seed: int = 0
) -> Outcome:
    """Judge every 2-second window under simulated pose noise by itself."""
    rng = np.random.default_rng(seed)
    clips = [
        (window, example.label)
        for example in examples
        for window in cover(add_test_noise(example.clip(), rng), window_s=NOISE_WINDOW_S, stride_s=STRIDE_S)
    ]
    return _judge(classify, [[clip] for clip, _ in clips], [label for _, label in clips], labels, temperature)


def judge_still(
    classify: Classifier, examples: Sequence[Example], recipe: Recipe, *, noisy: bool = False, seed: int = 0
) -> Outcome:
    """Judge one still window of each sequence: a pose held with a little sway, and pose noise if ``noisy``."""
    rng = np.random.default_rng(seed)
    windows = [draw_still_window(example.clip(), CALM, rng, window_s=recipe.features.window_s) for example in examples]
    if noisy:
        windows = [add_test_noise(window, rng) for window in windows]
    probabilities = call_still(
        calibrate(classify(windows), 1.0),
        [make_features(window, recipe.features) for window in windows],
        recipe.class_labels.index(recipe.idle_label),
        still_motion=recipe.still_motion,
    )
    return Outcome(probabilities, (recipe.idle_label,) * len(windows), recipe.class_labels)


def as_seen(clip: SkeletonClip, rng: np.random.Generator) -> SkeletonClip:
    """Look at a 3D clip from the front or up to 45 degrees to a side; a 2D clip is as its camera saw it."""
    if clip.keypoints.shape[-1] == 2:
        return clip
    return view(clip, Augmentation(yaw_deg=45, pitch_deg=(-5, 15), roll_deg=3), rng)


def calibrated_temperature(
    classify: Classifier, examples: Sequence[Example], recipe: Recipe, *, seed: int = 0
) -> float:
    """Return the temperature that fits held-out sequences as a camera would see them, and as many still windows."""
    rng = np.random.default_rng(seed)
    window_s = recipe.features.window_s
    clips = [
        (window, example.label)
        for example in examples
        for window in cover(add_test_noise(as_seen(example.clip(), rng), rng), window_s=window_s, stride_s=2 * STRIDE_S)
    ]
    clips += [
        (draw_still_window(example.clip(), recipe.augmentation, rng, window_s=window_s), recipe.idle_label)
        for example in examples[::4]
    ]
    truth = np.array([recipe.class_labels.index(label) for _, label in clips])
    return fit_temperature(classify([clip for clip, _ in clips]), truth)


def add_test_noise(clip: SkeletonClip, rng: np.random.Generator) -> SkeletonClip:
    """Jitter every joint by 3 % of the torso and lose 15 % of them."""
    jitter = rng.normal(size=clip.keypoints.shape) * NOISE_JITTER * torso_length(clip)
    kept = rng.random(clip.scores.shape) >= NOISE_MISSING
    return replace(
        clip, keypoints=clip.keypoints + jitter.astype(np.float32), scores=clip.scores * kept.astype(np.float32)
    )


def fit_temperature(logits: Float32[F32, "N K"], truth: Int64[I64, " N"]) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al. 2017), out of a fine grid."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(4.0), 131))
    losses = [-np.log(calibrate(logits, float(t))[np.arange(len(truth)), truth] + 1e-9).mean() for t in grid]
    return float(grid[int(np.argmin(losses))])


def calibration_error(outcome: Outcome, *, num_bins: int = 15) -> float:
    """Return the expected calibration error: how far scores are from shares of right answers, in [0, 1]."""
    best = outcome.probabilities.argmax(axis=1)
    score = outcome.probabilities.max(axis=1)
    right = np.array([outcome.labels[place] == truth for place, truth in zip(best, outcome.truth, strict=True)])
    bins = np.minimum((score * num_bins).astype(int), num_bins - 1)
    gaps = [
        abs(right[bins == place].mean() - score[bins == place].mean()) * (bins == place).mean()
        for place in range(num_bins)
        if (bins == place).any()
    ]
    return float(sum(gaps))


def _judge(
    classify: Classifier,
    windows: Sequence[Sequence[SkeletonClip]],
    truth: Sequence[str],
    labels: Sequence[str],
    temperature: float,
) -> Outcome:
    logits = classify([window for sequence in windows for window in sequence])
    probabilities = calibrate(logits, temperature)
    ends = np.cumsum([len(sequence) for sequence in windows])
    means = [part.mean(axis=0) for part in np.split(probabilities, ends[:-1])]
    return Outcome(np.stack(means), tuple(truth), tuple(labels))
