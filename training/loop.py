"""The training loop, read from top to bottom: schedule, step, average, evaluate, save.

lightning-fabric places the model and the batches; everything else is here.
"""

import logging
import math
import pickle
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from models.registry import build
from pipeline.errors import DataError
from pipeline.layouts import layout_named
from training.recipe import Recipe
from training.windows import Example, WindowDataset

logger = logging.getLogger(__name__)

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the log."""

    epoch: int
    learning_rate: float
    loss: float
    windows_per_s: float


def build_recogniser(recipe: Recipe) -> nn.Module:
    """Build the recipe's model with fresh weights, seeded by the recipe."""
    torch.manual_seed(recipe.seed)
    return build(
        recipe.architecture,
        layout=layout_named(recipe.features.layout),
        num_classes=len(recipe.class_labels),
        num_channels=len(recipe.features.channels),
        num_people=recipe.features.num_people,
        options=recipe.options,
    )


def train(
    recipe: Recipe, examples: tuple[Example, ...], out: Path, *, resume: bool = False, workers: int = 1
) -> nn.Module:
    """Train the recipe's model and return it with its averaged weights; ``out`` gets a log and a checkpoint an epoch.

    With ``resume``, go on after the last complete epoch of the checkpoint in ``out``.
    """
    fabric = Fabric(accelerator="auto", devices=1)
    torch.manual_seed(recipe.seed)
    model = build_recogniser(recipe)
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    average = deepcopy(model).eval()
    model, optimiser = fabric.setup(model, optimiser)
    average.to(fabric.device)
    out.mkdir(parents=True, exist_ok=True)
    first = _restore(out / CHECKPOINT_FILE, model, optimiser, average) if resume else 0
    dataset = WindowDataset(recipe, examples)
    steps = math.ceil(len(dataset) / recipe.batch_size)
    for epoch in range(first, recipe.epochs):
        dataset.epoch = epoch
        started, losses = time.perf_counter(), []
        for step, (clips, labels) in enumerate(_batches(dataset, recipe, fabric, workers)):
            rate = learning_rate(recipe, (epoch * steps + step) / (recipe.epochs * steps))
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = cross_entropy(model(clips), labels, label_smoothing=recipe.label_smoothing)
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(loss)
            fabric.clip_gradients(model, optimiser, max_norm=recipe.gradient_clip)
            optimiser.step()
            update_average(
                average,
                model,
                decay=min(recipe.average_decay, (1 + epoch * steps + step) / (10 + epoch * steps + step)),
            )
            losses.append(loss.detach())
        seconds = time.perf_counter() - started
        record = EpochRecord(epoch, rate, float(torch.stack(losses).mean()), len(dataset) / seconds)
        logger.info("epoch %d loss %.4f, %.0f windows/s", record.epoch, record.loss, record.windows_per_s)
        _write_log(out / LOG_FILE, record)
        _save(out / CHECKPOINT_FILE, epoch + 1, model, optimiser, average)
    return average


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
    """Rise linearly over the warm-up, then fall along a cosine to zero; ``progress`` in [0, 1]."""
    if progress < recipe.warmup_share:
        return recipe.learning_rate * max(progress / recipe.warmup_share, 0.02)
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


def _batches(dataset: WindowDataset, recipe: Recipe, fabric: Fabric, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    loader = DataLoader(dataset, batch_size=recipe.batch_size, num_workers=workers)
    for clips, labels in loader:
        yield clips.to(fabric.device), labels.to(fabric.device)


def _write_log(path: Path, record: EpochRecord) -> None:
    """Add a line for the epoch; a line that a killed run wrote for it, and later ones, are replaced."""
    logged = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    earlier = [line for line in logged if int(line.split(",")[0]) < record.epoch]
    line = f"{record.epoch},{record.learning_rate:.6g},{record.loss:.5f},{record.windows_per_s:.0f}"
    header = ",".join(field.name for field in fields(EpochRecord))
    partial = path.with_suffix(".csv.partial")
    partial.write_text("\n".join([header, *earlier, line]) + "\n", encoding="utf-8")
    partial.replace(path)


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
