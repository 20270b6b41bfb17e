"""A bundle says everything about its model, and is refused with a clear message when it does not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_card, write_bundle

from pipeline import bundle as bundle_module
from pipeline.bundle import CARD_FILE, EMBEDDED_FOLDER, MODEL_FILE, Bundle, Card, Source, find_bundles
from pipeline.errors import BrokenBundle
from pipeline.features import FeatureSpec

FULL_CARD = make_card(
    ("idle", "wave", "squat"),
    features=FeatureSpec(layout="ntu25", num_frames=48, window_s=2.5, num_people=2, channels=("x", "y", "z", "score")),
    silent_labels=("idle",),
    idle_label="idle",
    still_motion=0.2,
    temperature=1.3,
    thresholds={"wave": 0.5, "squat": 0.75},
    compounds={"squat": ("idle", "wave")},
    metrics={"top1": 0.9},
    data=(Source(name="a set", licence="CC BY 4.0", citation="Somebody, 2020", sequences=7),),
    licence="CC BY 4.0",
    recipe="a recipe",
    commit="abc",
    seed=3,
    model_sha256="0" * 64,
)


@pytest.fixture
def no_embedded_bundles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bundle_module, "EMBEDDED_FOLDER", tmp_path / "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a good bundle."""
    return write_bundle(tmp_path / "tiny").folder


def change_card(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    fields = json.loads((folder / CARD_FILE).read_text())
    change(fields)
    (folder / CARD_FILE).write_text(json.dumps(fields))


@pytest.mark.parametrize("card", [FULL_CARD, make_card()], ids=["everything said", "little said"])
def test_a_card_is_read_as_it_was_written(card: Card) -> None:
    assert Card.from_json(card.to_json()) == card


def test_a_card_says_what_it_is_in_any_language() -> None:
    card = replace(FULL_CARD, description="Étienne-Jules Marey")
    assert "Étienne" in card.to_json()
    assert Card.from_json(card.to_json()) == card


def test_the_labels_that_are_not_silent_can_be_reported() -> None:
    assert FULL_CARD.action_labels == ("wave", "squat")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": ()}, "expected distinct labels, got none"),
        ({"labels": ("wave", "wave", "squat", "idle")}, "expected distinct labels, got wave, wave"),
        ({"temperature": 0.0}, "expected a temperature above 0, got 0"),
        ({"temperature": float("nan")}, "expected a temperature above 0, got nan"),
        ({"thresholds": {"waves": 0.5}}, "must name labels; waves are none"),
        ({"silent_labels": ("other",)}, "must name labels; other are none"),
        ({"idle_label": "still"}, "must name labels; still are none"),
        ({"compounds": {"squat": ("wave", "sit")}}, "must name labels; sit are none"),
        ({"compounds": {"squat": ("squat", "wave")}}, "compounds: expected an action and two others"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(FULL_CARD, **fields)  # type: ignore[arg-type]  # which is what is refused


def test_a_bundle_is_opened_and_verified(folder: Path) -> None:
    bundle = Bundle.open(folder)
    bundle.verify()
    assert bundle.name == "tiny"
    assert bundle.model_path == folder / MODEL_FILE
    assert bundle.sha256 == bundle.card.model_sha256


@pytest.mark.parametrize("name", [CARD_FILE, MODEL_FILE])
def test_a_bundle_that_lacks_a_file_says_which(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BrokenBundle, match=f"expected a bundle with card.json and model.onnx; {name} is not there"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", r"Card: expected an object, got \[\]"),
        ("null", "Card: expected an object, got None"),
        ("{}", "Card: missing architecture, description, features, labels, name, version; expected name, "),
    ],
)
def test_a_card_that_is_no_card_is_refused(folder: Path, text: str, reason: str) -> None:
    (folder / CARD_FILE).write_text(text)
    with pytest.raises(BrokenBundle, match=f"card.json: expected a card, but reading it failed: .*{reason}"):
        Bundle.open(folder)


def test_a_card_that_is_not_even_text_is_refused(folder: Path) -> None:
    (folder / CARD_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BrokenBundle, match="can't decode"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("labels", [], "expected distinct labels"),
        ("features", None, "FeatureSpec: expected an object, got None"),
        ("features", [], "FeatureSpec: expected an object, got "),
        ("features", {"layout": "coco17", "num_frames": 8}, "FeatureSpec: missing window_s; expected layout, "),
        (
            "features",
            {"layout": "stick", "num_frames": 8, "window_s": 1.0, "channels": ["x"]},
            "unknown layout 'stick'",
        ),
        ("data", [{"name": "a set"}], "Source: missing citation, licence, sequences"),
        ("data", [7], "Source: expected an object, got 7"),
        ("temperature", "high", "not supported|temperature"),
        ("colour", "red", "Card: unknown colour; expected name, "),
    ],
)
def test_a_card_with_a_bad_field_is_refused(folder: Path, field: str, value: object, reason: str) -> None:
    change_card(folder, lambda fields: fields.update({field: value}))
    with pytest.raises(BrokenBundle, match=reason):
        Bundle.open(folder)


@pytest.mark.parametrize("field", ["name", "version", "labels", "features"])
def test_a_card_that_lacks_a_field_says_which(folder: Path, field: str) -> None:
    change_card(folder, lambda fields: fields.pop(field))
    with pytest.raises(BrokenBundle, match=f"Card: missing {field}; expected name, "):
        Bundle.open(folder)


def test_a_model_that_was_altered_is_refused(folder: Path) -> None:
    (folder / MODEL_FILE).write_bytes((folder / MODEL_FILE).read_bytes() + b"!")
    with pytest.raises(BrokenBundle, match=r"expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}; export the model again"):
        Bundle.open(folder).verify()


def test_a_card_without_a_hash_is_refused(folder: Path) -> None:
    change_card(folder, lambda fields: fields.pop("model_sha256"))
    with pytest.raises(BrokenBundle, match=r"expected sha256 \(none\)"):
        Bundle.open(folder).verify()


@pytest.mark.usefixtures("no_embedded_bundles")
def test_bundles_are_found_in_a_folder_of_them_and_one_by_one(tmp_path: Path) -> None:
    for name in ("many/one", "many/two", "three"):
        write_bundle(tmp_path / name, make_card(name=Path(name).name))
    (tmp_path / "many" / "notes").mkdir()
    assert list(find_bundles([tmp_path / "many", tmp_path / "three"])) == ["one", "two", "three"]


@pytest.mark.usefixtures("no_embedded_bundles")
def test_without_bundles_none_is_found(tmp_path: Path) -> None:
    assert find_bundles([tmp_path]) == {}


@pytest.mark.usefixtures("no_embedded_bundles")
def test_two_bundles_of_one_name_are_refused(folder: Path) -> None:
    shutil.copytree(folder, folder.parent / "copy")
    with pytest.raises(BrokenBundle, match=r"two models are called 'tiny': .*copy and .*tiny"):
        find_bundles([folder.parent])


@pytest.mark.usefixtures("no_embedded_bundles")
def test_one_broken_bundle_is_not_passed_over(folder: Path) -> None:
    (folder / MODEL_FILE).unlink()
    with pytest.raises(BrokenBundle, match=r"model.onnx is not there"):
        find_bundles([folder.parent])


def test_the_embedded_bundles_are_what_their_cards_say() -> None:
    for name, bundle in find_bundles().items():
        bundle.verify()
        assert bundle.folder == EMBEDDED_FOLDER / name
