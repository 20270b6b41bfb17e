"""A bundle is all there or not there at all, and its card tells everything."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models import registry as architectures
from models.registry import Recogniser as Model
from pipeline.bundle import CARD_FILE, MODEL_FILE, Bundle, find_bundles
from pipeline.errors import DataError, ExportError
from pipeline.recognise import Recogniser
from training import bundles
from training.bundles import SOURCES, UNCHECKED_THRESHOLD, decide_reporting, export_bundle
from training.datasets.registry import reader_names
from training.examples import divide, read_sets
from training.loop import train
from training.measure import measure
from training.recipe import WindowRecipe
from training.runs import Run, classifier, current_commit


def start(folder: Path, data: Path, **changes: object) -> Run:
    run = Run.start(folder, "tiny", changes)
    train(run.recipe, divide(run.recipe, read_sets(run.recipe, data)).train, folder, workers=0)
    return run


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("run"), data, epochs=4, windows_per_epoch=160)


@pytest.fixture(scope="module")
def fold(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("fold"), data, left_out=["kard", "squat"])


@pytest.fixture(scope="module")
def bundle(run: Run, fold: Run, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_bundle([run], [fold], data, tmp_path_factory.mktemp("models") / "new" / "tiny", version="2.1.0")


def test_what_is_exported_can_be_opened_verified_and_found(bundle: Bundle) -> None:
    opened = Bundle.open(bundle.folder)
    opened.verify()
    assert {path.name for path in bundle.folder.iterdir()} == {MODEL_FILE, CARD_FILE}
    assert [path.name for path in bundle.folder.parent.iterdir()] == ["tiny"]
    assert find_bundles([bundle.folder.parent])["tiny"].folder == bundle.folder


def test_a_recogniser_says_what_the_trained_model_says(bundle: Bundle, run: Run, data: Path) -> None:
    tested = divide(run.recipe, read_sets(run.recipe, data)).test
    clips = [example.clip() for example in tested]
    recogniser = Recogniser(bundle, threads=1)
    np.testing.assert_allclose(recogniser.logits(clips), classifier(run.load_model(), run.recipe)(clips), atol=1e-4)
    (prediction, *_) = recogniser.recognise(clips)
    assert prediction.probabilities.shape == (len(run.recipe.class_labels),)


def test_the_card_says_what_the_model_expects_and_how_it_was_made(bundle: Bundle, run: Run) -> None:
    card = bundle.card
    assert (card.name, card.version, card.architecture) == ("tiny", "2.1.0", "pooling")
    assert card.features == run.recipe.features
    assert card.labels == run.recipe.class_labels
    assert (card.idle_label, card.still_motion) == ("idle", run.recipe.still_motion)
    assert card.commit == run.commit == current_commit()
    assert card.seed == run.recipe.seed
    assert "epochs" in card.recipe
    assert 0.3 <= card.temperature <= 4


def test_the_card_names_the_data_with_their_licences_and_citations(bundle: Bundle) -> None:
    assert card_sources(bundle) == {
        "penn_action": SOURCES["penn_action"],
        "kard": SOURCES["kard"],
    }
    assert "research use" in bundle.card.licence
    assert all(source.sequences > 0 for source in bundle.card.data)


def card_sources(bundle: Bundle) -> dict[str, tuple[str, str]]:
    return {source.name: (source.licence, source.citation) for source in bundle.card.data}


def test_every_data_set_that_can_be_read_has_a_licence_and_a_citation() -> None:
    assert set(SOURCES) == set(reader_names())


def test_the_card_has_figures_between_0_and_1(bundle: Bundle) -> None:
    metrics = bundle.card.metrics
    assert {"penn_action_top1", "still_windows_called_idle", "held_out_groups_top1", "unknown_actions_reported"} <= set(
        metrics
    )
    assert all(0 <= value <= 1 for value in metrics.values())
    assert metrics["penn_action_top1"] > 0.6  # three actions that hardly resemble each other


def test_labels_are_either_silent_or_have_a_threshold(bundle: Bundle) -> None:
    assert set(bundle.card.thresholds) | set(bundle.card.silent_labels) == set(bundle.card.labels)
    assert not set(bundle.card.thresholds) & set(bundle.card.silent_labels)
    assert {"idle", "other"} <= set(bundle.card.silent_labels)


def test_a_label_that_was_never_right_on_sets_left_out_is_silent(bundle: Bundle) -> None:
    assert "walk" in bundle.card.silent_labels  # six sequences are too few to tell


def test_the_card_is_plain_json(bundle: Bundle) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads((bundle.folder / CARD_FILE).read_text(), parse_constant=refuse)


def test_without_folds_every_action_speaks_from_a_high_score(run: Run, data: Path) -> None:
    reporting = decide_reporting(run.recipe, [], data)
    assert set(reporting.thresholds.values()) == {UNCHECKED_THRESHOLD}
    assert reporting.silent == ("idle", "other")
    assert reporting.metrics == {}


def test_a_rate_that_cannot_be_measured_is_left_out(run: Run, data: Path, tmp_path: Path) -> None:
    fold = start(tmp_path, data, left_out=["kard"], epochs=1)  # no action is unknown to it
    assert "unknown_actions_reported" not in decide_reporting(run.recipe, [fold], data).metrics


def test_a_recipe_without_an_official_test_split_has_the_other_figures(tiny: WindowRecipe, data: Path) -> None:
    recipe = replace(tiny, labels={"kard": tiny.labels["kard"]}, strummed=frozenset(), repeated=frozenset())

    def unsure(clips: object) -> np.ndarray:
        return np.zeros((len(clips), len(recipe.class_labels)), np.float32)  # type: ignore[arg-type]

    figures = measure(unsure, divide(recipe, read_sets(recipe, data)), recipe, temperature=1.0)
    assert set(figures) == {"held_out_groups_top1", "held_out_groups_calibration_error"}
    fold = replace(recipe, left_out=frozenset({"walk"}))
    assert decide_reporting(fold, [], data).thresholds == {"wave": UNCHECKED_THRESHOLD}


def test_a_fold_is_measured_on_official_tests_of_the_actions_that_it_knows(fold: Run, data: Path) -> None:
    asked: list[int] = []

    def sure_of_golf(clips: object) -> np.ndarray:
        asked.append(len(clips))  # type: ignore[arg-type]
        best = fold.recipe.class_labels.index("golf_swing")
        return np.tile(10 * np.eye(len(fold.recipe.class_labels), dtype=np.float32)[best], (asked[-1], 1))

    figures = measure(sure_of_golf, divide(fold.recipe, read_sets(fold.recipe, data)), fold.recipe, temperature=1.0)
    assert figures["penn_action_top1"] == 0.5  # four of golf swings, four of jumping jacks, none of squats


class Guessing(Model):
    """Trains, and then says something else each time that it is asked."""

    def __init__(self, task: object, config: object) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(7))

    def forward(self, x: Tensor) -> Tensor:
        return self.bias + (x + torch.rand_like(x)).mean(dim=(1, 2, 3, 4))[:, None]


@pytest.fixture
def guessing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    entry = architectures._Entry(Guessing, dict, ())
    monkeypatch.setitem(architectures._ENTRIES._entries, "guessing", entry)
    return start(tmp_path / "run", data, architecture="guessing", options={}, epochs=1, windows_per_epoch=16)


@pytest.mark.slow
def test_a_model_that_fails_the_gate_leaves_the_bundle_before_it(
    guessing: Run, bundle: Bundle, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "models" / "tiny"
    out.mkdir(parents=True)
    for name in (MODEL_FILE, CARD_FILE):
        (out / name).write_bytes((bundle.folder / name).read_bytes())
    with pytest.raises(ExportError, match="does not say what the model says"):
        export_bundle([guessing], [], data, out, version="3")
    Bundle.open(out).verify()
    assert Bundle.open(out).card.version == "2.1.0"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_a_model_that_fails_the_gate_leaves_nothing(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(model: object, path: Path, **sizes: int) -> None:
        path.write_bytes(b"half a model")
        raise ExportError("it does not say what the model says")

    monkeypatch.setattr(bundles, "export_onnx", refuse)
    with pytest.raises(ExportError):
        export_bundle([run], [], data, tmp_path / "models" / "tiny", version="1")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_run_without_a_checkpoint_writes_nothing(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train the run first"):
        export_bundle([Run.start(tmp_path / "run", "tiny", {})], [], data, tmp_path / "models", version="1")
    assert not (tmp_path / "models").exists()


def test_a_data_set_of_which_no_licence_is_stated_is_named_all_the_same(
    tiny: WindowRecipe, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "SOURCES", {"kard": SOURCES["kard"]})
    sources = {source.name: source.licence for source in bundles._sources(divide(tiny, read_sets(tiny, data)))}
    assert sources == {"penn_action": "not stated", "kard": "CC BY 4.0"}
