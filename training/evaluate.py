"""How good a recogniser is: each figure of a card, from sequences that it was never trained on.

Measured the way the service works: windows of real time, probabilities averaged over a sequence's windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from pipeline.features import make_features
from pipeline.recognise import calibrate, call_still
from pipeline.values import SkeletonClip
from training.augment import Augmentation, draw_still_window, torso_length, view
from training.examples import Example
from training.recipe import Recipe, SequenceRecipe, WindowRecipe, windowed
from training.scores import Outcome
from training.variation import settle
from training.windows import cover

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
    classify: Classifier, examples: Sequence[Example], recipe: WindowRecipe, *, noisy: bool = False, seed: int = 0
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


def judge_whole(
    classify: Classifier, examples: Sequence[Example], recipe: SequenceRecipe, *, temperature: float = 1.0
) -> Outcome:
    """Judge each sequence by the one input that the recipe makes of it in a test."""
    inputs = [settle(example.clip(), recipe.variation, spec=recipe.features) for example in examples]
    probabilities = calibrate(classify(inputs), temperature)
    return Outcome(probabilities, tuple(example.label for example in examples), recipe.class_labels)


def calibrated_temperature(
    classify: Classifier, examples: Sequence[Example], recipe: Recipe, *, seed: int = 0
) -> float:
    """Return the temperature that fits held-out sequences in the form that the recogniser will see them in."""
    windows = calibration_windows(examples, recipe, seed=seed)
    truth = np.array([recipe.class_labels.index(label) for _, label in windows])
    return fit_temperature(classify([clip for clip, _ in windows]), truth)


def calibration_windows(
    examples: Sequence[Example], recipe: Recipe, *, seed: int = 0
) -> list[tuple[SkeletonClip, str]]:
    """Return labelled windows of held-out sequences to fit temperatures and weights by.

    Of a ``WindowRecipe``, windows as a camera and a pose network would see them, and a still one of every fourth.
    """
    if isinstance(recipe, SequenceRecipe):
        spec = recipe.features
        return [(settle(example.clip(), recipe.variation, spec=spec), example.label) for example in examples]
    return _camera_windows(examples, windowed(recipe), np.random.default_rng(seed))


def _camera_windows(
    examples: Sequence[Example], recipe: WindowRecipe, rng: np.random.Generator
) -> list[tuple[SkeletonClip, str]]:
    window_s = recipe.features.window_s
    moving = [
        (window, example.label)
        for example in examples
        for window in cover(add_test_noise(as_seen(example.clip(), rng), rng), window_s=window_s, stride_s=2 * STRIDE_S)
    ]
    still = [
        (draw_still_window(example.clip(), recipe.augmentation, rng, window_s=window_s), recipe.idle_label)
        for example in examples[::4]
    ]
    return moving + still


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
