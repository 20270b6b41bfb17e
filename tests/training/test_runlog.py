"""A run says how it fares where people look: a line an epoch, and curves."""

import csv
from pathlib import Path

import pytest
import torch

from training.plots import plot_curves
from training.runlog import CURVES_FOLDER, LOG_FILE, RunLog


def log_epoch(log: RunLog, epoch: int, *losses: float, rate: float = 0.1) -> list[float]:
    """Log an epoch with a batch for each loss, and return how far it was before each."""
    shares = []
    for share, loss in log.follow(epoch, losses):
        log.add(torch.tensor(loss), rate, 16)
        shares.append(share)
    log.end_epoch(epoch)
    return shares


def lines_of(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG_FILE).open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_epoch_is_a_line_with_its_mean_loss_and_last_rate(tmp_path: Path) -> None:
    with RunLog(tmp_path, enabled=True, steps=2) as log:
        for _, (loss, rate) in log.follow(0, [(3.0, 0.5), (1.0, 0.25)]):
            log.add(torch.tensor(loss), rate, 16)
        log.end_epoch(0)
    (line,) = lines_of(tmp_path)
    assert (line["epoch"], float(line["loss"]), float(line["learning_rate"])) == ("0", 2.0, 0.25)
    assert float(line["windows_per_s"]) > 0


def test_batches_come_with_the_share_of_the_epoch_before_them(tmp_path: Path) -> None:
    with RunLog(tmp_path, enabled=False, steps=4) as log:
        assert log_epoch(log, 0, 1.0, 1.0, 1.0, 1.0) == [0, 0.25, 0.5, 0.75]


def test_epochs_do_not_run_into_each_other(tmp_path: Path) -> None:
    with RunLog(tmp_path, enabled=True, steps=1) as log:
        for epoch, loss in enumerate((4.0, 2.0, 1.0)):
            log_epoch(log, epoch, loss)
    assert [float(line["loss"]) for line in lines_of(tmp_path)] == [4.0, 2.0, 1.0]


def test_an_epoch_that_is_done_again_replaces_its_line_and_later_ones(tmp_path: Path) -> None:
    with RunLog(tmp_path, enabled=True, steps=1) as log:
        for epoch in (0, 1, 2):
            log_epoch(log, epoch, 9.0)
    with RunLog(tmp_path, enabled=True, steps=1) as log:
        log_epoch(log, 1, 1.0)
    assert [(line["epoch"], float(line["loss"])) for line in lines_of(tmp_path)] == [("0", 9.0), ("1", 1.0)]


def test_a_slow_machine_is_not_at_a_standstill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter((0.0, 64.0))
    monkeypatch.setattr("training.runlog.time.perf_counter", lambda: next(moments))
    with RunLog(tmp_path, enabled=True, steps=1) as log:
        log_epoch(log, 0, 1.0)
    assert float(lines_of(tmp_path)[0]["windows_per_s"]) == 0.25


def test_one_process_of_several_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RunLog(tmp_path, enabled=False, steps=1) as log:
        log_epoch(log, 0, 1.0)
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_an_epoch_is_said_where_it_does_not_get_into_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunLog(tmp_path, enabled=True, steps=1) as log:
        log_epoch(log, 3, 0.5)
    said = capsys.readouterr()
    assert "epoch 3 loss 0.5000" in said.err
    assert said.out == ""


def test_a_run_that_ends_within_its_first_epoch_leaves_nothing(tmp_path: Path) -> None:
    with RunLog(tmp_path, enabled=True, steps=2) as log:
        for _ in log.follow(0, [1.0, 1.0]):
            break
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_curves_and_the_log_can_be_plotted(tmp_path: Path) -> None:
    with RunLog(tmp_path, enabled=True, steps=1) as log:
        for epoch in (0, 1):
            log_epoch(log, epoch, 2.0 - epoch)
    (events,) = (tmp_path / CURVES_FOLDER).iterdir()
    content = events.read_bytes()
    assert all(name in content for name in (b"loss", b"learning_rate", b"windows_per_s"))
    plot_curves({"run": tmp_path / LOG_FILE}, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
