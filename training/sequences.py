"""From labelled sequences to inputs, each in its turn and varied at random: what a ``SequenceRecipe`` trains on."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pipeline.features import make_features
from training.examples import Example
from training.recipe import SequenceRecipe
from training.variation import vary


class SequenceDataset(Dataset[tuple[Tensor, Tensor]]):
    """An epoch of all sequences in random order: item i of an epoch is always the same, whoever loads it.

    ``epoch`` is set before each pass.
    """

    def __init__(self, recipe: SequenceRecipe, examples: Sequence[Example]) -> None:
        self.recipe = recipe
        self.examples = examples
        self.epoch = 0

    def __len__(self) -> int:
        return self.recipe.repeats * len(self.examples)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        recipe, (passes, place) = self.recipe, divmod(item, len(self.examples))
        order = np.random.default_rng((recipe.seed, self.epoch, passes)).permutation(len(self.examples))
        example = self.examples[order[place]]
        rng = np.random.default_rng((recipe.seed, self.epoch, passes, place))
        clip = vary(example.clip(), recipe.variation, rng, spec=recipe.features)
        values = make_features(clip, recipe.features).values
        return torch.from_numpy(values), torch.tensor(recipe.class_labels.index(example.label))
