"""The commands that train, evaluate and export, run as ``marey`` runs them."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import make_card, write_bundle

import marey
from pipeline.bundle import Bundle
from training.loop import CHECKPOINT_FILE
from training.runlog import CURVES_FOLDER, LOG_FILE
from training.runs import RUN_FILE, Run

Say = Callable[..., SimpleNamespace]
QUICK = ("--set", "epochs=1", "--set", "windows_per_epoch=64")


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run the command in this process; returns its exit code, standard output, and standard error on one line."""

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["marey", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "400")  # or long messages are folded in their box
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=" ".join(captured.err.split()))

    return run


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, as the command leaves it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["marey", "train", "tiny", "--data", str(data), "--out", str(folder), *QUICK])
        with pytest.raises(SystemExit) as ended:
            marey.main()
    assert not ended.value.code
    return folder


def test_training_leaves_a_run_with_its_log_and_checkpoint(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {RUN_FILE, LOG_FILE, CURVES_FOLDER, CHECKPOINT_FILE}
    recipe = Run.open(trained).recipe
    assert (recipe.epochs, recipe.windows_per_epoch) == (1, 64)
    assert len((trained / LOG_FILE).read_text().splitlines()) == 2


def test_a_run_is_evaluated_in_lines_or_in_json(say: Say, trained: Path, data: Path) -> None:
    lines = say("evaluate", trained, "--data", data)
    figures = json.loads(say("evaluate", trained, "--data", data, "--json").out)
    assert lines.code == 0
    assert 0 <= figures["penn_action_top1"] <= 1
    assert {line.split()[0]: float(line.split()[1]) for line in lines.out.splitlines()} == pytest.approx(
        figures, abs=1e-4
    )


@pytest.mark.slow
def test_a_run_with_a_fold_becomes_a_bundle_that_measures_as_its_card_says(
    say: Say, trained: Path, data: Path, tmp_path: Path
) -> None:
    left_out = ("--leave-out", "kard", "--leave-out", "squat")
    assert say("train", "tiny", "--data", data, "--out", tmp_path / "fold", *QUICK, *left_out).code == 0
    assert Run.open(tmp_path / "fold").recipe.left_out == {"kard", "squat"}
    out = tmp_path / "bundle"
    said = say("export", trained, "--data", data, "--out", out, "--fold", tmp_path / "fold", "--version", "1.2.3")
    assert said.code == 0
    assert said.out == Bundle.open(out).card.to_json()
    assert Bundle.open(out).card.version == "1.2.3"
    figures = json.loads(say("evaluate", out, "--data", data, "--json").out)
    assert figures == pytest.approx({name: Bundle.open(out).card.metrics[name] for name in figures}, abs=2e-4)


def test_a_run_goes_on_where_it_was_broken_off(say: Say, trained: Path, data: Path) -> None:
    before = (trained / CHECKPOINT_FILE).read_bytes()
    assert say("train", "tiny", "--data", data, "--out", trained, "--resume").code == 0
    assert say("train", "tiny", "--data", data, "--out", trained, "--resume", *QUICK).code == 0
    assert (trained / CHECKPOINT_FILE).read_bytes() == before


def test_a_run_is_not_begun_anew_by_accident(say: Say, trained: Path, data: Path) -> None:
    before = (trained / CHECKPOINT_FILE).read_bytes()
    said = say("train", "tiny", "--data", data, "--out", trained)
    assert said.code == marey.Exit.USAGE
    assert "holds a run already: go on with --resume, or choose another folder" in said.err
    assert (trained / CHECKPOINT_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [("tiny", ("--set", "epochs=7")), ("tiny", ("--leave-out", "kard")), ("everyday", ())],
    ids=["other settings", "something left out", "another recipe"],
)
def test_a_run_does_not_go_on_in_another_way(
    say: Say, trained: Path, data: Path, recipe: str, settings: tuple[str, ...]
) -> None:
    said = say("train", recipe, "--data", data, "--out", trained, "--resume", *settings)
    assert said.code == marey.Exit.USAGE
    assert "was started with" in said.err


def test_resuming_what_was_never_begun_begins_it(say: Say, data: Path, tmp_path: Path) -> None:
    assert say("train", "tiny", "--data", data, "--out", tmp_path / "run", "--resume", *QUICK).code == 0
    assert (tmp_path / "run" / CHECKPOINT_FILE).exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("everyway",), "unknown recipe 'everyway': expected one of 2s-agcn-kinetics, "),
        (("tiny", "--set", "epochs"), "--set epochs: expected SETTING=JSON, such as epochs=6 or features.num_frames="),
        (("tiny", "--set", "epoch=3"), "WindowRecipe has no setting epoch: expected some of architecture, arm_"),
        (("tiny", "--set", "epochs=many"), "epochs: expected a value such as 2, got 'many'"),
        (("tiny", "--set", "epochs=0"), "expected epochs and batch_size of 1 or more, got 0 and"),
        (("tiny", "--set", 'augmentation={"spede": 2}'), "Augmentation has no setting spede"),
        (("tiny", "--leave-out", "kardd"), "recipe 'tiny' has no kardd to leave out"),
        (("tiny", "--leave-out", "kard", "--leave-out", "penn_action"), "nothing is left to train on: leave out less"),
    ],
)
def test_wrong_usage_of_train_is_said_to_be_that(
    say: Say, data: Path, tmp_path: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    said = say("train", *arguments, "--data", data, "--out", tmp_path / "run")
    assert said.code == marey.Exit.USAGE
    assert complaint in said.err
    assert not (tmp_path / "run" / CHECKPOINT_FILE).exists()


def test_settings_that_are_no_json_are_words(say: Say, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert say("train", "tiny", "--data", data, "--out", out, *QUICK, "--set", "description=Hello").code == 0
    assert Run.open(out).recipe.description == "Hello"


@pytest.mark.parametrize("command", [("train", "tiny"), ("evaluate",), ("export",)], ids=lambda words: words[0])
def test_data_that_is_missing_has_an_exit_code_of_its_own(
    say: Say, trained: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    model = () if command[0] == "train" else (trained,)
    out = () if command[0] == "evaluate" else ("--out", tmp_path / "out")
    said = say(*command, *model, "--data", tmp_path, *out)
    assert said.code == marey.Exit.DATA
    assert "penn_action.npz: expected a skeleton set (.npz), found no such file" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("evaluate", "expected a bundle with card.json or a run with run.json"),
        ("export", "expected a run with run.json, but reading it failed"),
    ],
)
def test_a_folder_that_is_no_run_has_the_same_exit_code(
    say: Say, data: Path, tmp_path: Path, command: str, complaint: str
) -> None:
    out = ("--out", tmp_path / "out") if command == "export" else ()
    said = say(command, tmp_path, "--data", data, *out)
    assert said.code == marey.Exit.DATA
    assert complaint in said.err
    assert not (tmp_path / "out").exists()


def test_a_run_that_was_never_trained_cannot_be_evaluated(say: Say, data: Path, tmp_path: Path) -> None:
    Run.start(tmp_path, "tiny", {})
    said = say("evaluate", tmp_path, "--data", data)
    assert said.code == marey.Exit.DATA
    assert "expected a checkpoint, found none; train the run first" in said.err


def test_a_run_that_left_nothing_out_is_no_fold(say: Say, trained: Path, data: Path, tmp_path: Path) -> None:
    said = say("export", trained, "--data", data, "--out", tmp_path / "out", "--fold", trained)
    assert said.code == marey.Exit.USAGE
    assert "expected folds, runs that leave something out" in said.err


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("unknown", "no recipe says what model 'unknown' was trained on: unknown recipe"),
        ("tiny", "model 'tiny' has other labels than its recipe: evaluate the run that it came from"),
    ],
    ids=["unknown recipe", "other labels"],
)
def test_a_bundle_that_no_recipe_fits_cannot_be_evaluated(
    say: Say, data: Path, tmp_path: Path, name: str, complaint: str
) -> None:
    write_bundle(tmp_path, replace(make_card(), name=name))
    said = say("evaluate", tmp_path, "--data", data)
    assert said.code == marey.Exit.DATA
    assert complaint in said.err


def test_recipes_are_listed_with_what_they_are_for(say: Say) -> None:
    said = say("recipes")
    assert said.code == 0
    assert {line.split()[0] for line in said.out.splitlines()} >= {"everyday", "everyday-quick", "tiny"}
    assert "Stick figures" in said.out
