"""The training loop, read from top to bottom: schedule, step, average, save.

lightning-fabric places the model and the batches, on one device or many; everything else is here.
"""

import math
import os
import pickle
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from models.registry import Recogniser, build, option_names
from pipeline.errors import DataError
from pipeline.layouts import layout_named
from training.examples import Example
from training.recipe import Recipe, SequenceRecipe, WindowRecipe
from training.runlog import RunLog
from training.sequences import SequenceDataset
from training.windows import WindowDataset

CHECKPOINT_FILE = "checkpoint.pt"


def build_recogniser(recipe: Recipe) -> Recogniser:
    """Build the recipe's model with fresh weights, seeded by the recipe; it is told which channels are coordinates."""
    torch.manual_seed(recipe.seed)
    told = {"num_coordinates": len({*recipe.features.channels} - {"score"})}
    known = {name: value for name, value in told.items() if name in option_names(recipe.architecture)}
    return build(
        recipe.architecture,
        layout=layout_named(recipe.features.layout),
        num_classes=len(recipe.class_labels),
        num_channels=len(recipe.features.channels),
        num_people=recipe.features.num_people,
        options={**known, **recipe.options},
    )


def train(
    recipe: Recipe, examples: tuple[Example, ...], out: Path, *, resume: bool = False, workers: int = 1
) -> nn.Module:
    """Train the recipe's model and return it with its averaged weights; ``out`` gets logs and a checkpoint an epoch.

    With ``resume``, go on after the last complete epoch of the checkpoint in ``out``: the result is the same, on a CPU
    to the last bit. Started by torchrun, each process trains on its share of every batch, rounded up; batch norm's
    statistics are those of the first one's share.
    """
    fabric = _fabric_of(recipe)
    fabric.launch()
    model = _channels_last(build_recogniser(recipe))
    average = deepcopy(model).eval().to(fabric.device)
    model, optimiser = fabric.setup(model, optimiser_of(recipe, model))
    out.mkdir(parents=True, exist_ok=True)
    first = _restore(out / CHECKPOINT_FILE, model, optimiser, average) if resume else 0
    dataset = dataset_of(recipe, examples)
    with RunLog(out, enabled=fabric.is_global_zero, steps=len(_loader(dataset, recipe, fabric, workers))) as log:
        for epoch in range(first, recipe.epochs):
            dataset.epoch = epoch
            for progress, batch in log.follow(epoch, _batches(dataset, recipe, fabric, workers)):
                rate = learning_rate(recipe, (epoch + progress) / recipe.epochs)
                loss = _step(recipe, fabric, model, optimiser, batch, rate=rate)
                step = round((epoch + progress) * log.steps)
                update_average(average, model, decay=min(recipe.average_decay, (1 + step) / (10 + step)))
                log.add(loss, rate, len(batch[1]) * fabric.world_size)
            if fabric.is_global_zero:
                _save(out / CHECKPOINT_FILE, epoch + 1, model, optimiser, average)
            log.end_epoch(epoch)
            fabric.barrier()
    return average


def _channels_last(model: Recogniser) -> Recogniser:
    """Lay the weights of 3D convolutions out as processors like them; their signals follow.

    On a CPU that alone makes training PoseC3D 1.6 times and X3D 2.2 times as fast.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
    return model


def _step(
    recipe: Recipe,
    fabric: Fabric,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    *,
    rate: float,
) -> Tensor:
    """Take one step down the batch's loss, and return the loss, the mean over all processes."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    clips, labels = batch
    loss = cross_entropy(model(clips).float(), labels, label_smoothing=recipe.label_smoothing)
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(loss)
    if recipe.gradient_clip:
        fabric.clip_gradients(model, optimiser, max_norm=recipe.gradient_clip)
    optimiser.step()
    everywhere = fabric.all_reduce(loss.detach())
    assert isinstance(everywhere, Tensor)
    return everywhere


def _fabric_of(recipe: Recipe) -> Fabric:
    """Return the device to train on: the one that there is, or under torchrun one for each of its processes."""
    return Fabric(
        accelerator="auto",
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")),
        precision=recipe.precision,  # type: ignore[arg-type]  # a recipe takes no other
    )


def optimiser_of(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimiser for the model's parameters."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        momentum = recipe.momentum
        return torch.optim.SGD(
            model.parameters(),
            lr=rate,
            weight_decay=decay,
            momentum=momentum,
            nesterov=recipe.nesterov and momentum > 0,
        )
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)


def dataset_of(recipe: Recipe, examples: tuple[Example, ...]) -> SequenceDataset | WindowDataset:
    """Return the random inputs that the recipe's kind asks for."""
    if isinstance(recipe, SequenceRecipe):
        return SequenceDataset(recipe, examples)
    assert isinstance(recipe, WindowRecipe)
    return WindowDataset(recipe, examples)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what an epoch left behind, on the CPU; ``DataError`` if there is none that can be read."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a checkpoint, found none; train the run first") from error
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{path}: expected a checkpoint, but it cannot be read; train the run again") from error
    return state


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the rate after a share of the training, ``progress`` in [0, 1]: see ``Recipe.schedule``."""
    if progress < recipe.warmup_share:
        return recipe.learning_rate * max(progress / recipe.warmup_share, 0.02)
    if recipe.schedule == "steps":
        passed = sum(progress * recipe.epochs >= milestone - 1e-9 for milestone in recipe.milestones)
        return recipe.learning_rate * 0.1**passed
    fallen = (progress - recipe.warmup_share) / (1 - recipe.warmup_share)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * fallen))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, *, decay: float) -> None:
    """Move the averaged weights towards the model's; buffers (batch norm's statistics) are averaged too."""
    state = {name.removeprefix("_forward_module."): value for name, value in model.state_dict().items()}
    for name, mean in average.state_dict().items():
        if mean.dtype.is_floating_point:
            mean.lerp_(state[name], 1 - decay)
        else:
            mean.copy_(state[name])


def _batches(
    dataset: SequenceDataset | WindowDataset, recipe: Recipe, fabric: Fabric, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield this process's share of an epoch's batches."""
    for clips, labels in _loader(dataset, recipe, fabric, workers):
        yield clips.to(fabric.device), labels.to(fabric.device)


def _loader(
    dataset: SequenceDataset | WindowDataset, recipe: Recipe, fabric: Fabric, workers: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the batches of every n-th item, as many in each of n processes.

    Where items do not go into n, the first ones are taken again: who has no batch keeps all the others waiting.
    """
    even = math.ceil(len(dataset) / fabric.world_size) * fabric.world_size
    mine = [item % len(dataset) for item in range(fabric.global_rank, even, fabric.world_size)]
    size = math.ceil(recipe.batch_size / fabric.world_size)
    return DataLoader(dataset, batch_size=size, sampler=mine, num_workers=workers)


def _save(path: Path, epoch: int, model: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module) -> None:
    """Write to a temporary name first: a killed run leaves the last whole checkpoint."""
    partial = path.with_suffix(".partial")
    state = {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state_dict(),
        "chance": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
    }
    torch.save(state, partial)
    partial.replace(path)


def _restore(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module) -> int:
    """Load a checkpoint and return the epoch to go on with; 0 where there is none."""
    if not path.exists():
        return 0
    state = read_checkpoint(path)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    average.load_state_dict(state["average"])
    _go_on_drawing(state.get("chance", []))  # so that dropout draws what it would have drawn
    return int(state["epoch"])


def _go_on_drawing(chance: Sequence[Tensor]) -> None:
    """Set torch's generators, the CPU's first, to where a checkpoint left them."""
    if chance:
        torch.set_rng_state(chance[0])
    if len(chance) == 1 + torch.cuda.device_count():
        torch.cuda.set_rng_state_all(chance[1:])
