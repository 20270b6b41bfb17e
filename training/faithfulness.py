"""Does an explanation point at what decided? Hold still what it points at, and see how much of the score is left.

Deletion and insertion (Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", 2017;
Petsiuk et al., "RISE", BMVC 2018), with a joint's mean place in the window for what a deleted pixel is in pictures.
An explanation is worth its time if it does better than the joints that move most, which cost nothing to find.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from models.registry import Recogniser
from training.examples import Example, divide, read_sets
from training.members import common_recipe, fused_model
from training.recipe import WindowRecipe, windowed
from training.runs import Run, feature_batches
from training.windows import cover

# How many joints are held still, or left moving, and which share of the frames is held still.
HELD_JOINTS = (1, 2, 4)
MOVING_JOINTS = (3, 6)
HELD_FRAMES = 0.25
# Windows count whose action is at least this sure: of the others nobody asks why.
SUREST = 0.6


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """What is left of the winner's probability, on average over windows, when joints or frames are chosen by ``guide``.

    ``held`` has the number of joints that are held still (lower is better), ``moving`` that of the only ones left
    moving (higher is better), and ``frames`` is for a quarter of the frames held still (lower is better).
    """

    guide: str
    held: Mapping[int, float]
    moving: Mapping[int, float]
    frames: float


def judge_explanations(runs: Sequence[Run], data: Path) -> tuple[int, list[Faithfulness]]:
    """Return how many windows of the test split counted, one beside the other, and their ``faithfulness``.

    Several runs are one ensemble, as ``export`` makes it.

    Raises:
        ValueError: not one window shows an action for sure.
    """
    recipe = windowed(common_recipe(runs))
    parts = divide(recipe, read_sets(recipe, data))
    model = fused_model(runs, parts)
    clips = torch.cat(list(_sure(model, parts.test, recipe)) or [torch.zeros(0)])
    if not len(clips):
        raise ValueError(f"expected windows whose action has a probability of {SUREST} or more, found none")
    return len(clips), faithfulness(model, clips)


@torch.no_grad()
def faithfulness(model: Recogniser, clips: Float32[Tensor, "N T M V C"], *, seed: int = 0) -> list[Faithfulness]:
    """Return what is left where joints and frames are chosen by a model's explanations, by movement, and by chance."""
    return [_judge(model, clips, guide, frames, joints) for guide, frames, joints in _guides(model, clips, seed)]


@torch.no_grad()
def _sure(
    model: Recogniser, examples: Sequence[Example], recipe: WindowRecipe
) -> Iterator[Float32[Tensor, "N T M V C"]]:
    window_s = recipe.features.window_s
    windows = [window for one in examples for window in cover(one.clip(), window_s=window_s, stride_s=window_s)]
    quiet = torch.tensor([recipe.class_labels.index(label) for label in (recipe.idle_label, recipe.other_label)])
    for batch in map(torch.from_numpy, feature_batches(windows, recipe)):
        scores, winners = model(batch).softmax(dim=1).max(dim=1)
        yield batch[(scores >= SUREST) & ~torch.isin(winners, quiet)]


def _guides(model: Recogniser, clips: Tensor, seed: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield by what joints and frames can be chosen: a name, and what each frame [N, T] and joint [N, V] counts."""
    frames, joints = zip(*(model.explain(batch)[1:] for batch in torch.split(clips, 64)), strict=True)
    yield "explanation", torch.cat(frames), torch.cat(joints)
    movement = (clips - clips.mean(dim=1, keepdim=True)).abs().sum(dim=(2, 4))  # [N, T, V]
    yield "movement", movement.sum(dim=2), movement.sum(dim=1)
    drawn = torch.rand(movement.shape, generator=torch.Generator().manual_seed(seed))
    yield "chance", drawn.sum(dim=2), drawn.sum(dim=1)


def _judge(model: Recogniser, clips: Tensor, guide: str, frames: Tensor, joints: Tensor) -> Faithfulness:
    def left(held: Bool[Tensor, "N T V"]) -> float:
        return _score_left(model, clips, held)

    num_frames = round(HELD_FRAMES * clips.shape[1])
    return Faithfulness(
        guide,
        held={count: left(_highest(joints, count)[:, None, :]) for count in HELD_JOINTS},
        moving={count: left(~_highest(joints, count)[:, None, :]) for count in MOVING_JOINTS},
        frames=left(_highest(frames, num_frames)[:, :, None]),
    )


def _highest(counts: Float32[Tensor, "N places"], num: int) -> Bool[Tensor, "N places"]:
    """Mark the places that count most."""
    return torch.zeros_like(counts, dtype=torch.bool).scatter(1, counts.topk(num, dim=1).indices, value=True)


def _score_left(model: Recogniser, clips: Tensor, held: Bool[Tensor, "N T V"]) -> float:
    """Return how much of the winner's probability is left where joints of frames are where they are on average."""
    held = held.expand(*clips.shape[:2], clips.shape[3])[:, :, None, :, None]
    changed = torch.where(held, clips.mean(dim=1, keepdim=True), clips)
    before, after = (
        torch.cat([model(batch) for batch in torch.split(some, 64)]).softmax(dim=1) for some in (clips, changed)
    )
    winners = before.argmax(dim=1, keepdim=True)
    return float((after.gather(1, winners) / before.gather(1, winners)).mean())
