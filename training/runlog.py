"""What a training says of itself as it runs: a progress bar, a CSV with a line an epoch, and TensorBoard's curves."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tensorboardX import SummaryWriter
from torch import Tensor

LOG_FILE = "log.csv"
CURVES_FOLDER = "tensorboard"
Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the log."""

    epoch: int
    learning_rate: float
    loss: float
    windows_per_s: float


class RunLog:
    """Writes a run's logs into its folder; where it is not ``enabled``, as in all processes but one, it only counts.

    ``steps`` are those of an epoch.
    """

    def __init__(self, folder: Path, *, enabled: bool, steps: int) -> None:
        self.steps = steps
        self._folder, self._enabled = folder, enabled
        console = Console(stderr=True, quiet=not enabled)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, disable=not (enabled and console.is_terminal))
        self._task = self._bar.add_task("epoch 0", total=steps)
        self._curves: SummaryWriter | None = None  # made with the first epoch: a run that ends before it leaves nothing
        self._losses: list[Tensor] = []
        self._rate, self._windows, self._started = 0.0, 0, 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if self._curves is not None:
            self._curves.close()

    def follow(self, epoch: int, batches: Iterable[Batch]) -> Iterator[tuple[float, Batch]]:
        """Yield each batch of an epoch with the share of the epoch that is done before it."""
        self._losses, self._windows, self._started = [], 0, time.perf_counter()
        self._bar.reset(self._task, description=f"epoch {epoch}", total=self.steps)
        for step, batch in enumerate(batches):
            yield step / self.steps, batch
            self._bar.advance(self._task)

    def add(self, loss: Tensor, rate: float, windows: int) -> None:
        """Take note of a step."""
        self._losses.append(loss)
        self._rate, self._windows = rate, self._windows + windows

    def end_epoch(self, epoch: int) -> None:
        """Write the epoch down."""
        seconds = time.perf_counter() - self._started
        loss = float(torch.stack(self._losses).mean())
        record = EpochRecord(epoch, self._rate, loss, self._windows / seconds)
        if self._enabled:
            self._write(record)
        self._bar.console.log(f"epoch {epoch} loss {record.loss:.4f}, {record.windows_per_s:.0f} windows/s")

    def _write(self, record: EpochRecord) -> None:
        _write_line(self._folder / LOG_FILE, record)
        self._curves = self._curves or SummaryWriter(str(self._folder / CURVES_FOLDER))
        for name in ("loss", "learning_rate", "windows_per_s"):
            self._curves.add_scalar(name, getattr(record, name), record.epoch)
        self._curves.flush()


def _write_line(path: Path, record: EpochRecord) -> None:
    """Add a line for the epoch; a line that a killed run wrote for it, and later ones, are replaced."""
    logged = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    earlier = [line for line in logged if int(line.split(",")[0]) < record.epoch]
    line = f"{record.epoch},{record.learning_rate:.6g},{record.loss:.5f},{record.windows_per_s:.4g}"
    header = ",".join(field.name for field in fields(EpochRecord))
    partial = path.with_suffix(".csv.partial")
    partial.write_text("\n".join([header, *earlier, line]) + "\n", encoding="utf-8")
    partial.replace(path)
