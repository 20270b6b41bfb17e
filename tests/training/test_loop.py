"""Training goes down, can be broken off at any moment, and goes on as if it had not been."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import DataError
from pipeline.values import SkeletonClip
from training import loop
from training.datasets.skeleton_set import SkeletonSet
from training.examples import Example, divide, learned, read_sets
from training.loop import (
    CHECKPOINT_FILE,
    build_recogniser,
    dataset_of,
    learning_rate,
    read_checkpoint,
    train,
    update_average,
)
from training.recipe import SequenceRecipe, WindowRecipe
from training.recipes.registry import recipe_named
from training.runlog import LOG_FILE
from training.runs import Run, changed

Examples = tuple[Example, ...]


class PowerCut(BaseException):
    """Ends a run as a signal would: at once, and past everything that handles exceptions."""


@dataclass(frozen=True, eq=False)
class CutOffSet(SkeletonSet):
    """A set whose sequences can be read a number of times, and then no more."""

    left: list[int] = field(default_factory=list)

    def clip(self, index: int) -> SkeletonClip:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise PowerCut
        return super().clip(index)


@pytest.fixture(scope="module")
def examples(tiny: WindowRecipe, data: Path) -> Examples:
    return divide(tiny, read_sets(tiny, data)).train


@pytest.fixture(scope="module")
def brief(tiny: WindowRecipe) -> WindowRecipe:
    return replace(tiny, epochs=3, windows_per_epoch=40)


@pytest.fixture(scope="module")
def uninterrupted(brief: WindowRecipe, examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(brief, examples, folder, workers=0)
    return folder


def log_of(folder: Path) -> list[dict[str, str]]:
    with (folder / LOG_FILE).open(newline="") as file:
        return list(csv.DictReader(file))


def cut_off_after(examples: Examples, num_windows: int) -> Examples:
    left = [num_windows]
    sources = {example.source.name: CutOffSet(**vars(example.source), left=left) for example in examples}
    return tuple(Example(sources[example.source.name], example.index, example.label) for example in examples)


def flat(state: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every tensor and number of a checkpoint with the way to it."""
    if isinstance(state, dict | list):
        for key, value in state.items() if isinstance(state, dict) else enumerate(state):
            yield from flat(value, f"{name}.{key}")
    else:
        yield name, state


def is_same(one: object, other: object) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else one == other


def assert_equal_checkpoints(one: Path, other: Path) -> None:
    ours, theirs = (dict(flat(read_checkpoint(folder / CHECKPOINT_FILE))) for folder in (one, other))
    assert ours.keys() == theirs.keys()
    apart = [name for name in ours if not is_same(ours[name], theirs[name])]
    assert apart == []


def test_a_model_is_drawn_by_the_seed(tiny: WindowRecipe) -> None:
    one, again, other = (build_recogniser(replace(tiny, seed=seed)) for seed in (1, 1, 2))
    weights = [torch.cat([value.flatten() for value in model.parameters()]) for model in (one, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_lowers_the_loss(tiny: WindowRecipe, examples: Examples, tmp_path: Path) -> None:
    train(replace(tiny, epochs=2, windows_per_epoch=192), examples, tmp_path, workers=0)
    first, second = (float(line["loss"]) for line in log_of(tmp_path))
    assert second < 0.9 * first


def test_volumes_are_trained_with_their_channels_last_in_memory(
    tiny: WindowRecipe, examples: Examples, tmp_path: Path
) -> None:
    small = {"base_channels": 4, "size": 8, "blocks": (1,), "temporal_strides": (1,), "inflate": (True,)}
    recipe = replace(tiny, architecture="posec3d", options=small, epochs=1, windows_per_epoch=8)
    model = train(recipe, examples, tmp_path, workers=0)
    weights = [module.weight for module in model.modules() if isinstance(module, nn.Conv3d)]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last_3d) for weight in weights)


def test_the_averaged_model_comes_back_as_the_checkpoint_has_it_in_evaluation_mode(
    tiny: WindowRecipe, examples: Examples, tmp_path: Path
) -> None:
    average = train(replace(tiny, epochs=1, windows_per_epoch=32), examples, tmp_path, workers=0)
    saved = read_checkpoint(tmp_path / CHECKPOINT_FILE)["average"]
    assert not average.training
    assert saved.keys() == average.state_dict().keys()
    assert all(torch.equal(saved[name], value.cpu()) for name, value in average.state_dict().items())


def test_the_log_has_a_line_an_epoch(uninterrupted: Path, brief: WindowRecipe) -> None:
    lines = log_of(uninterrupted)
    assert [line["epoch"] for line in lines] == ["0", "1", "2"]
    assert set(lines[0]) == {"epoch", "learning_rate", "loss", "windows_per_s"}
    rates = [float(line["learning_rate"]) for line in lines]
    assert brief.learning_rate >= rates[0] > rates[1] > rates[2] > 0


@pytest.mark.parametrize("num_windows", [40, 55, 119], ids=["between epochs", "in an epoch", "just before the end"])
def test_a_run_that_was_killed_and_resumed_ends_bit_for_bit_as_one_that_was_not(
    brief: WindowRecipe, examples: Examples, uninterrupted: Path, tmp_path: Path, num_windows: int
) -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA adds up in any order: on the CPU this would have compared every weight")
    with pytest.raises(PowerCut):
        train(brief, cut_off_after(examples, num_windows), tmp_path, workers=0)
    assert read_checkpoint(tmp_path / CHECKPOINT_FILE)["epoch"] == num_windows // 40
    torch.manual_seed(123)  # another process begins elsewhere
    train(brief, examples, tmp_path, resume=True, workers=0)
    assert_equal_checkpoints(tmp_path, uninterrupted)
    assert [line["loss"] for line in log_of(tmp_path)] == [line["loss"] for line in log_of(uninterrupted)]


def test_workers_change_nothing(brief: WindowRecipe, examples: Examples, uninterrupted: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA adds up in any order: on the CPU this would have compared every weight")
    train(brief, examples, tmp_path, workers=1)
    assert_equal_checkpoints(tmp_path, uninterrupted)


def test_a_run_that_was_killed_before_its_first_epoch_ended_begins_anew(
    brief: WindowRecipe, examples: Examples, tmp_path: Path
) -> None:
    with pytest.raises(PowerCut):
        train(brief, cut_off_after(examples, 20), tmp_path, workers=0)
    assert list(tmp_path.iterdir()) == []
    train(replace(brief, epochs=1), examples, tmp_path, resume=True, workers=0)
    assert len(log_of(tmp_path)) == 1


def test_a_finished_run_is_left_as_it_is(brief: WindowRecipe, examples: Examples, uninterrupted: Path) -> None:
    before = (uninterrupted / CHECKPOINT_FILE).read_bytes()
    resumed = train(brief, examples, uninterrupted, resume=True, workers=0)
    assert (uninterrupted / CHECKPOINT_FILE).read_bytes() == before
    saved = read_checkpoint(uninterrupted / CHECKPOINT_FILE)["average"]
    assert all(torch.equal(saved[name], value.cpu()) for name, value in resumed.state_dict().items())


def test_a_checkpoint_without_the_state_of_chance_can_be_gone_on_with(
    brief: WindowRecipe, examples: Examples, uninterrupted: Path, tmp_path: Path
) -> None:
    state = read_checkpoint(uninterrupted / CHECKPOINT_FILE)
    torch.save(
        {**{name: state[name] for name in ("model", "optimiser", "average")}, "epoch": 2}, tmp_path / CHECKPOINT_FILE
    )
    train(brief, examples, tmp_path, resume=True, workers=0)
    assert [line["epoch"] for line in log_of(tmp_path)] == ["2"]


def test_a_line_that_was_logged_before_its_checkpoint_was_written_is_not_there_twice(
    brief: WindowRecipe, examples: Examples, tmp_path: Path
) -> None:
    with pytest.raises(PowerCut):
        train(brief, cut_off_after(examples, 55), tmp_path, workers=0)
    with (tmp_path / LOG_FILE).open("a") as file:
        file.write("1,0.01,9.99999,1\n")
    train(brief, examples, tmp_path, resume=True, workers=0)
    assert [line["epoch"] for line in log_of(tmp_path)] == ["0", "1", "2"]
    assert "9.99999" not in (tmp_path / LOG_FILE).read_text()


def test_a_checkpoint_that_could_not_be_written_leaves_the_last_one(
    uninterrupted: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / CHECKPOINT_FILE
    path.write_bytes((uninterrupted / CHECKPOINT_FILE).read_bytes())

    def write_half(state: object, target: Path) -> None:
        target.write_bytes(b"half of i")
        raise OSError("no space left on device")

    monkeypatch.setattr(loop.torch, "save", write_half)
    model = nn.Linear(1, 1)
    with pytest.raises(OSError, match="no space left"):
        loop._save(path, 1, model, torch.optim.AdamW(model.parameters()), model)
    assert read_checkpoint(path)["epoch"] == 3


@pytest.mark.parametrize("content", [None, b"", b"no checkpoint", b"PK\x03\x04 half of one"])
def test_a_checkpoint_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT_FILE
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"checkpoint\.pt: expected a checkpoint, .*train the run"):
        read_checkpoint(path)


def test_the_learning_rate_rises_over_the_warm_up_and_falls_to_zero(tiny: WindowRecipe) -> None:
    recipe = replace(tiny, learning_rate=1.0, warmup_share=0.1)
    assert learning_rate(recipe, 0.0) == pytest.approx(0.02)
    assert learning_rate(recipe, 0.05) == pytest.approx(0.5)
    assert learning_rate(recipe, 0.1) == pytest.approx(1.0)
    assert learning_rate(recipe, 0.55) == pytest.approx(0.5)
    assert learning_rate(recipe, 1.0) == pytest.approx(0.0, abs=1e-12)
    rates = [learning_rate(recipe, place / 100) for place in range(101)]
    assert rates.index(max(rates)) == 10
    assert sorted(rates[:10]) == rates[:10]
    assert sorted(rates[10:], reverse=True) == rates[10:]


def test_without_a_warm_up_the_learning_rate_begins_at_its_height(tiny: WindowRecipe) -> None:
    assert learning_rate(replace(tiny, warmup_share=0.0), 0.0) == tiny.learning_rate


def test_the_average_moves_towards_the_model_and_takes_counters_as_they_are() -> None:
    model, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    model(torch.randn(8, 2, generator=torch.Generator().manual_seed(0)) + 4)
    update_average(average, model, decay=0.75)
    assert torch.allclose(average.running_mean, 0.25 * model.running_mean)
    assert int(average.num_batches_tracked) == 1
    update_average(average, model, decay=0.0)
    assert all(torch.equal(value, average.state_dict()[name]) for name, value in model.state_dict().items())


@dataclass(frozen=True)
class OneOf:
    """What the loop asks its surroundings: which of so many processes this is."""

    global_rank: int
    world_size: int
    device: str = "cpu"


@pytest.mark.parametrize("num_processes", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_processes_share_every_batch_and_none_waits_for_another(
    tiny_sequences: SequenceRecipe, data: Path, num_processes: int, batch_size: int
) -> None:
    recipe = replace(tiny_sequences, batch_size=batch_size, classes=("squat", "jumping_jacks", "golf_swing"))
    dataset = dataset_of(recipe, divide(recipe, read_sets(recipe, data)).train[:9])
    shares = [
        [clips for clips, _ in loop._batches(dataset, recipe, OneOf(rank, num_processes), workers=0)]  # type: ignore[arg-type]
        for rank in range(num_processes)
    ]
    assert len({len(share) for share in shares}) == 1
    assert len({tuple(map(len, share)) for share in shares}) == 1
    taken = [clip.numpy().tobytes() for share in shares for batch in share for clip in batch]
    assert set(taken) == {dataset[item][0].numpy().tobytes() for item in range(9)}
    assert len(taken) < 9 + num_processes
    if batch_size % num_processes == 0:
        first = {clip.numpy().tobytes() for share in shares for clip in share[0]}
        assert first == {dataset[item][0].numpy().tobytes() for item in range(batch_size)}


@pytest.mark.slow
def test_two_processes_learn_what_one_does(data: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs two devices of one kind: on the CPU this would have compared losses")
    settings = {
        "batch_size": 12,
        "epochs": 8,
        "repeats": 2,
        "learning_rate": 0.02,
        "options": {"base_channels": 4, "widths": [1, 2], "strides": [1, 2], "mcf_blocks": [], "dropout": 0.0},
        "features": {"num_frames": 12},
        "precision": "32-true",
    }
    recipe = recipe_named("penn_action")
    sets = read_sets(recipe, data)
    alone = changed(recipe, learned(recipe, settings, sets))
    train(alone, divide(alone, sets).train, tmp_path / "one", workers=0)
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    two = ["--standalone", "--nproc-per-node", "2", "-m", "marey", "train", "penn_action"]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *two, "--data", data, "--out", tmp_path / "two", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=Path(loop.__file__).parents[1],
        check=True,
        timeout=300,
    )
    one, other = ([float(line["loss"]) for line in log_of(tmp_path / name)] for name in ("one", "two"))
    assert one[0] == pytest.approx(other[0], rel=0.01)
    assert one == pytest.approx(other, rel=0.3)  # batch norm sees half a batch
    assert max(one[-1], other[-1]) < 0.75 * one[0]
    assert Run.open(tmp_path / "two").load_model()
