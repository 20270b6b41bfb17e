"""A model that counts coordinates from elsewhere than the body gets what it needs, or a clear answer."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import FakePose, make_card, make_clip, make_figure, make_frame, make_times, make_waver

from pipeline.bundle import Bundle, Card
from pipeline.engine import Engine, Options, Stream
from pipeline.errors import UnfitClip
from pipeline.features import FeatureSpec, make_features
from pipeline.layouts import HAND21
from pipeline.recognise import Recogniser
from pipeline.values import Features, Prediction, SkeletonClip

SIZE_WH = (320, 240)
SPEC = FeatureSpec(layout="coco17", num_frames=16, window_s=2.0)
NORMALISED = {
    "frame": SPEC,
    "half_frame": SPEC,
    "upright_frame": SPEC,
    "extent": replace(SPEC, layout="hand21"),
    **dict.fromkeys(("body", "moving_body", "camera"), replace(SPEC, layout="ntu25", channels=("x", "y", "z"))),
}


class Listener(Recogniser):
    """Stands in for a loaded model: takes windows for what the card says, and keeps them."""

    def __init__(self, features: FeatureSpec) -> None:
        self.bundle = Bundle(Path("tiny"), make_card(features=features))
        self.clips: list[SkeletonClip] = []
        self.windows: list[Features] = []

    @property
    def card(self) -> Card:
        return self.bundle.card

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        self.clips += clips
        self.windows += [make_features(clip, self.card.features) for clip in clips]
        return []


def pose() -> FakePose:
    return FakePose(lambda time_s: [make_figure(arms_up=time_s / 3, x=200)])


def watched(listener: Listener, *, scale: float = 1.0) -> Listener:
    """Let a stream of 3 s go by, in pictures that the decoder has made smaller."""
    stream = Stream(pose(), listener, Options())
    picture_wh = round(SIZE_WH[0] * scale), round(SIZE_WH[1] * scale)
    for number, time_s in enumerate(make_times(3.0)):
        stream.push([make_frame(float(time_s), index=number, size_wh=picture_wh, scale=scale)])
    listener.recognise(stream._reader._waiting)
    return listener


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_windows_carry_the_size_of_the_video(scale: float) -> None:
    listener = watched(Listener(SPEC), scale=scale)
    assert listener.clips
    assert {clip.size_wh for clip in listener.clips} == {SIZE_WH}


def test_coordinates_in_the_frame_do_not_depend_on_how_large_pictures_are_decoded() -> None:
    spec = replace(SPEC, normalisation="frame", channels=("x", "y", "score"))
    whole, half = (watched(Listener(spec), scale=scale).windows for scale in (1.0, 0.5))
    assert len(whole) == len(half) > 0
    for one, other in zip(whole, half, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_skeletons_keep_the_size_that_is_given_with_them() -> None:
    listener = Listener(replace(SPEC, normalisation="frame"))
    Engine(pose(), listener).recognise_skeletons(replace(make_waver(make_times(3.0)), size_wh=SIZE_WH))
    assert {clip.size_wh for clip in listener.clips} == {SIZE_WH}


def test_skeletons_without_a_size_are_refused_by_a_model_that_needs_it_and_by_no_other() -> None:
    clip = make_waver(make_times(3.0))
    Engine(pose(), Listener(SPEC)).recognise_skeletons(clip)
    with pytest.raises(UnfitClip, match="expected x, y and size_wh, got 2 coordinates a joint and size_wh None"):
        Engine(pose(), Listener(replace(SPEC, normalisation="frame"))).recognise_skeletons(clip)


def test_a_video_is_refused_by_a_model_of_depth() -> None:
    listener = Listener(replace(NORMALISED["body"], normalisation="body"))
    with pytest.raises(UnfitClip, match="of a depth sensor: expected x, y and z, got 2 coordinates a joint"):
        watched(listener)


def test_a_hand_is_refused_by_a_model_of_bodies_and_a_body_by_a_model_of_hands() -> None:
    times_s = make_times(3.0)
    hand = make_clip(np.random.default_rng(0).normal(100, 9, (len(times_s), 21, 2)), times_s, layout=HAND21)
    with pytest.raises(UnfitClip, match="takes skeletons of coco17, got hand21, which has no joint of it"):
        Engine(pose(), Listener(SPEC)).recognise_skeletons(hand)
    with pytest.raises(UnfitClip, match="takes skeletons of hand21, got coco17, which has no joint of it"):
        Engine(pose(), Listener(NORMALISED["extent"])).recognise_skeletons(make_waver(times_s))
    Engine(pose(), Listener(NORMALISED["extent"])).recognise_skeletons(hand)


@pytest.mark.parametrize("name", NORMALISED)
def test_every_model_warms_up_with_what_it_takes(name: str) -> None:
    listener = Listener(replace(NORMALISED[name], normalisation=name))
    Engine(FakePose(lambda _: []), listener).warm_up()
    explained, unexplained = listener.windows
    assert explained.values.any()
    assert unexplained.values.any()
