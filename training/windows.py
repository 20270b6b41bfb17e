"""From labelled sequences to random windows of real time, as a service sees them: what a ``WindowRecipe`` trains on."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.features import make_features
from pipeline.values import SkeletonClip
from training.augment import cut, draw_rest_window, draw_still_window, draw_window, film, perform, splice, strum
from training.examples import Example
from training.recipe import WindowRecipe

F64 = NDArray[np.float64]

# Share of the idle windows that show an action at their edge.
REST_SHARE = 0.35


class WindowDataset(Dataset[tuple[Tensor, Tensor]]):
    """An epoch of random windows: item i of an epoch is always the same, whoever loads it.

    ``epoch`` is set before each pass.
    """

    def __init__(self, recipe: WindowRecipe, examples: Sequence[Example]) -> None:
        self.recipe = recipe
        self.examples = examples
        self.epoch = 0

    def __len__(self) -> int:
        return self.recipe.windows_per_epoch

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.recipe.seed, self.epoch, item))
        label = str(rng.choice(self.recipe.class_labels, p=self._label_shares))
        values = make_features(self._draw(label, rng), self.recipe.features).values
        return torch.from_numpy(values), torch.tensor(self.recipe.class_labels.index(label))

    def _draw(self, label: str, rng: np.random.Generator) -> SkeletonClip:
        recipe, window_s = self.recipe, self.recipe.features.window_s
        if label == recipe.idle_label:
            example = self.examples[int(rng.integers(len(self.examples)))]
            draw = draw_rest_window if rng.random() < REST_SHARE else draw_still_window
            return draw(example.clip(), recipe.augmentation, rng, window_s=window_s)
        if label == recipe.other_label and recipe.spliced_share and rng.random() < recipe.spliced_share:
            return self._draw_spliced(rng)
        clip, repeats = self._draw_clip(label, rng), label in recipe.repeated
        return draw_window(clip, recipe.augmentation, rng, window_s=window_s, repeats=repeats)

    def _draw_clip(self, label: str, rng: np.random.Generator) -> SkeletonClip:
        example = self._by_label[label][rng.choice(len(self._by_label[label]), p=self._example_shares[label])]
        return strum(example.clip(), rng) if label in self.recipe.strummed else example.clip()

    def _draw_spliced(self, rng: np.random.Generator) -> SkeletonClip:
        """Draw the upper body of one action on the legs of another: each half is well known, and both are nothing."""
        recipe, window_s = self.recipe, self.recipe.features.window_s
        upper, lower = (
            perform(
                self._draw_clip(label, rng),
                recipe.augmentation,
                rng,
                window_s=window_s,
                repeats=label in recipe.repeated,
            )
            for label in self._draw_pair(rng)
        )
        return film(splice(upper, lower), recipe.augmentation, rng)

    def _draw_pair(self, rng: np.random.Generator) -> tuple[str, str]:
        """Draw whose upper body goes on whose legs, so that neither half makes an action by itself."""
        recipe = self.recipe
        known = [label for label in recipe.class_labels if label != recipe.idle_label and self._by_label[label]]
        lower = str(rng.choice([label for label in known if label not in recipe.leg_actions]))
        upper = str(rng.choice([label for label in known if label not in {lower, *recipe.arm_actions}]))
        return upper, lower

    @cached_property
    def _by_label(self) -> dict[str, list[Example]]:
        groups: dict[str, list[Example]] = {label: [] for label in self.recipe.class_labels}
        for example in self.examples:
            groups[example.label].append(example)
        return groups

    @cached_property
    def _label_shares(self) -> Float64[F64, " K"]:
        recipe = self.recipe
        other_share = recipe.other_share if self._by_label[recipe.other_label] else 0.0
        fixed = {recipe.idle_label: recipe.idle_share, recipe.other_label: other_share}
        shares = np.array(
            [0.0 if label in fixed else len(self._by_label[label]) ** 0.5 for label in recipe.class_labels]
        )
        shares *= (1 - sum(fixed.values())) / shares.sum()
        total: F64 = shares + np.array([fixed.get(label, 0.0) for label in recipe.class_labels])
        return total

    @cached_property
    def _example_shares(self) -> dict[str, Float64[F64, " Q"]]:
        """Weigh examples so that, within a label, a data set counts by the square root of its size."""
        shares = {}
        for label, examples in self._by_label.items():
            names = [example.source.name for example in examples]
            weights = np.array([names.count(name) ** -0.5 for name in names])
            shares[label] = weights / max(weights.sum(), 1e-12)
        return shares


def cover(clip: SkeletonClip, *, window_s: float, stride_s: float) -> list[SkeletonClip]:
    """Cut a sequence into overlapping windows; one that is shorter than a window stands in the middle of it."""
    duration = clip.end_s - clip.start_s
    if duration <= window_s:
        slack = (window_s - duration) / 2
        return [replace(clip, start_s=clip.start_s - slack, end_s=clip.end_s + slack)]
    starts = clip.start_s + np.arange(0.0, duration - window_s + 1e-9, stride_s)
    return [cut(clip, float(start), float(start) + window_s) for start in starts]
