import pytest

from service.app import create_app
from service.settings import Settings


@pytest.fixture
def listing(serve, engine, tmp_path):
    """A service with one bundle in a folder of models."""
    (folder := tmp_path / "bundles" / "mine").mkdir(parents=True)
    bundle = engine.recogniser.bundle
    (folder / "model.onnx").write_bytes(bundle.model_path.read_bytes())
    (folder / "card.json").write_text(bundle.card.to_json().replace('"everyday"', '"mine"'))
    return serve(create_app(Settings(model_folders=(tmp_path / "bundles",), model="mine"), engine=engine))


def test_models_are_listed_with_their_cards(listing, engine):
    models = listing.get("/v1/models").json()
    assert models["default_pose"] == "movenet"
    assert "movenet" in models["poses"]
    card = next(card for card in models["models"] if card["name"] == "mine")
    assert card["labels"] == ["idle", "wave", "squat"]
    assert card["silent_labels"] == ["idle"]
    assert (card["layout"], card["window_s"], card["num_frames"]) == ("coco17", 1.0, 8)
    assert card["sha256"] == engine.recogniser.bundle.sha256
    assert card["default"] is True
    assert card["provider"] is None  # the engine that is loaded calls itself by another name


def test_one_model_is_shown_as_in_the_list(listing):
    cards = listing.get("/v1/models").json()["models"]
    assert listing.get("/v1/models/mine").json() in cards


def test_a_model_in_use_says_on_what_device(serve, make_engine, tmp_path):
    engine = make_engine("mine")
    folder = engine.recogniser.bundle.folder
    (folder / "card.json").write_text(engine.recogniser.card.to_json())
    client = serve(create_app(Settings(model_folders=(folder,), model="mine"), engine=engine))
    assert client.get("/v1/models/mine").json()["provider"] == "cpu"


def test_an_unknown_model_is_not_found_and_the_known_ones_are_listed(listing):
    reply = listing.get("/v1/models/nonesuch")
    assert reply.status_code == 404
    assert reply.json()["type"] == "urn:marey:problem:unknown-model"
    assert "mine" in reply.json()["detail"]
