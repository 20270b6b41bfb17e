"""A recogniser answers a batch as it answers one window, with calibrated probabilities."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import make_card, make_clip, make_figure, make_times, make_waver, make_wrist_model, write_bundle
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BrokenBundle, ModelError
from pipeline.features import FeatureSpec
from pipeline.recognise import LARGEST_BATCH, Recogniser, calibrate, call_still
from pipeline.values import F32, Features, SkeletonClip


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Recogniser:
    return Recogniser(write_bundle(tmp_path_factory.mktemp("tiny")), threads=1)


def standing(arms_up: float, *, start_s: float = 0.0) -> SkeletonClip:
    times_s = make_times(2.0, start_s=start_s)
    return make_clip(np.stack([make_figure(arms_up=arms_up)] * len(times_s)), times_s, track_ids=[5])


def window(motion: float) -> Features:
    return Features(np.zeros((2, 1, 17, 2), np.float32), np.ones((2, 1), np.bool_), motion)


def test_a_window_is_recognised(recogniser: Recogniser) -> None:
    down, up = recogniser.recognise([standing(0.0), standing(1.0, start_s=3.0)])
    assert [down.probabilities.argmax(), up.probabilities.argmax()] == [0, 1]
    assert (up.start_s, up.end_s, up.track_ids.tolist()) == (3.0, 5.0, [5])


def test_what_is_answered_are_probabilities(recogniser: Recogniser) -> None:
    (prediction,) = recogniser.recognise([make_waver(make_times(2.0))])
    for shares, number in (
        (prediction.probabilities, 3),
        (prediction.frame_attention, 16),
        (prediction.joint_attention, 17),
    ):
        assert len(shares) == number
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        assert shares.dtype == np.float32


@pytest.mark.parametrize("number", [1, 2, LARGEST_BATCH + 1])
def test_a_batch_is_answered_as_its_windows_one_by_one(recogniser: Recogniser, number: int) -> None:
    clips = [make_waver(make_times(2.0, start_s=0.1 * place)) for place in range(number)]
    batch = recogniser.recognise(clips)
    alone = [recogniser.recognise([clip])[0] for clip in clips]
    assert len(batch) == number
    for one, other in zip(batch, alone, strict=True):
        assert one.start_s == other.start_s
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
        assert one.frame_attention == pytest.approx(other.frame_attention, abs=1e-6)
        assert one.joint_attention == pytest.approx(other.joint_attention, abs=1e-6)
    assert recogniser.logits(clips) == pytest.approx(
        np.concatenate([recogniser.logits([clip]) for clip in clips]), abs=1e-5
    )


def test_without_explanation_the_answer_is_the_same(recogniser: Recogniser) -> None:
    clips = [standing(0.0), make_waver(make_times(2.0))]
    for plain, explained in zip(recogniser.recognise(clips, explain=False), recogniser.recognise(clips), strict=True):
        np.testing.assert_array_equal(plain.probabilities, explained.probabilities)
        assert (len(plain.frame_attention), len(plain.joint_attention)) == (0, 0)


def test_no_window_has_no_answer(recogniser: Recogniser) -> None:
    assert recogniser.recognise([]) == []
    assert recogniser.logits([]).shape == (0, 3)


def test_the_card_and_the_provider_are_known(recogniser: Recogniser) -> None:
    assert recogniser.card.labels == ("stand", "raise_arms", "crouch")
    assert recogniser.provider == "cpu"


def test_a_held_pose_is_idle_whatever_the_model_says(tmp_path: Path) -> None:
    card = make_card(idle_label="stand", still_motion=0.1)
    held, waving = Recogniser(write_bundle(tmp_path, card), threads=1).recognise(
        [standing(1.0), make_waver(make_times(2.0))]
    )
    assert held.probabilities.tolist() == [1, 0, 0]
    assert 0 < waving.probabilities[0] < 1


@pytest.mark.parametrize(("temperature", "is_surer"), [(0.5, True), (4.0, False)])
def test_the_temperature_of_the_card_is_applied(
    recogniser: Recogniser, tmp_path: Path, temperature: float, is_surer: bool
) -> None:
    other = Recogniser(write_bundle(tmp_path, make_card(temperature=temperature)), threads=1)
    (clip,) = [make_waver(make_times(2.0), hz=0.5)]
    (plain,), (tempered,) = recogniser.recognise([clip]), other.recognise([clip])
    assert (tempered.probabilities.max() > plain.probabilities.max()) == is_surer
    assert tempered.probabilities.argmax() == plain.probabilities.argmax()


@given(
    logits=st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=0, max_size=5),
    temperature=st.floats(0.1, 10),
)
def test_calibrated_logits_are_probabilities_in_the_same_order(logits: list[list[float]], temperature: float) -> None:
    values: F32 = np.array(logits, np.float32).reshape(-1, 3)
    probabilities = calibrate(values, temperature)
    assert probabilities.shape == values.shape
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(values)), abs=1e-5)
    best = values.argmax(axis=1)
    assert (probabilities[np.arange(len(values)), best] >= probabilities.max(axis=1, initial=0) - 1e-6).all()


def test_large_logits_do_not_overflow() -> None:
    assert calibrate(np.array([[1e4, 0.0]], np.float32), 0.1).tolist() == [[1.0, 0.0]]


def test_a_temperature_of_one_is_the_softmax() -> None:
    expected = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
    assert calibrate(np.array([[0, 1, 2]], np.float32), 1.0)[0] == pytest.approx(expected)


def test_windows_in_which_nobody_moves_are_called_idle() -> None:
    probabilities = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]], np.float32)
    called = call_still(probabilities, [window(0.05), window(0.1), window(float("inf"))], 0, still_motion=0.1)
    assert called == pytest.approx(np.array([[1, 0], [0.2, 0.8], [0.3, 0.7]]))
    assert called.dtype == np.float32


def test_no_window_is_called_nothing() -> None:
    assert call_still(np.zeros((0, 2), np.float32), [], 0, still_motion=0.1).shape == (0, 2)


def test_a_model_that_was_altered_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path)
    bundle.model_path.write_bytes(make_wrist_model(4))
    with pytest.raises(BrokenBundle, match="expected sha256"):
        Recogniser(bundle)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not an ONNX model"):
        Recogniser(write_bundle(tmp_path, model=b"not a model"))


def test_a_model_that_explains_nothing_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path, model=make_wrist_model(outputs=("logits",)))
    with pytest.raises(BrokenBundle, match="expected frame_attention, joint_attention among its inputs and outputs"):
        Recogniser(bundle)


SPEC = make_card().features


@pytest.mark.parametrize(
    ("labels", "features", "message"),
    [
        (("stand", "wave"), SPEC, r"asks for logits of shape \(None, 2\), it has \(None, 3\)"),
        (("stand", "wave", "sit"), replace(SPEC, layout="penn13"), r"clips of shape \(None, 16, 1, 13, 2\)"),
        (("stand", "wave", "sit"), replace(SPEC, channels=("x", "y", "z")), r"clips of shape \(None, 16, 1, 17, 3\)"),
        (("stand", "wave", "sit"), replace(SPEC, num_people=2), r"clips of shape \(None, 16, 2, 17, 2\)"),
    ],
    ids=["labels", "joints", "channels", "people"],
)
def test_a_model_at_odds_with_its_card_is_refused(
    tmp_path: Path, labels: tuple[str, ...], features: FeatureSpec, message: str
) -> None:
    card = make_card(labels, features=features, silent_labels=())
    with pytest.raises(BrokenBundle, match=message):
        Recogniser(write_bundle(tmp_path, card, model=make_wrist_model()))


def test_a_model_may_leave_its_axes_free(tmp_path: Path) -> None:
    model = make_wrist_model(shape=("N", "T", "M", "V", "C"))
    assert len(Recogniser(write_bundle(tmp_path, model=model), threads=1).recognise([standing(1.0)])) == 1
