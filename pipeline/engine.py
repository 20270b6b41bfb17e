"""The whole chain, one line a stage: decode, detect and pose, track, and then the actions.

An ``Engine`` holds what is stateless and shared (the networks); a ``Stream`` holds what has memory and belongs to one
video, a ``LiveStream`` what belongs to one camera. An engine may serve many streams at once, from many threads.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.actions import DEFAULT_OPTIONS, ActionReader, Options, Stopwatch
from pipeline.bundle import DEFAULT_MODEL, Bundle, find_bundles
from pipeline.errors import UnknownModel
from pipeline.features import FeatureSpec
from pipeline.follow import Follower, size_of_video
from pipeline.layouts import layout_named
from pipeline.live import LiveStream
from pipeline.pose import PoseBackend, pose_backend
from pipeline.recognise import Recogniser
from pipeline.values import Frame, Poses, Recognition, SkeletonClip, VideoInfo
from pipeline.video import Video

__all__ = ["Engine", "Options", "Stream", "bundle_named", "load_engine"]

DEFAULT_POSE = "movenet"


class Stream:
    """One video on its way through the chain: frames in, an answer at the end."""

    def __init__(self, pose: PoseBackend, recogniser: Recogniser, options: Options) -> None:
        self._reader = ActionReader(recogniser, options, layout=pose.layout)
        self._follower = Follower(pose, max_people=options.max_people, stopwatch=self.stopwatch)

    @property
    def stopwatch(self) -> Stopwatch:
        """What each stage has taken so far."""
        return self._reader.stopwatch

    def push(self, frames: Sequence[Frame]) -> list[Poses]:
        """Take successive frames, and return who is followed in each, in px of the video."""
        if frames:
            self._reader.see_size(size_of_video(frames[0]))
        followed = self._follower.follow(frames)
        for frame, people in zip(frames, followed, strict=True):
            self._reader.take(people, frame.time_s)
        return followed

    def finish(self, video: VideoInfo, warnings: Sequence[str] = ()) -> Recognition:
        """Return the answer for everything that was pushed."""
        return self._reader.finish(video, warnings)


class Engine:
    """A pose backend and a recogniser, ready to answer."""

    def __init__(self, pose: PoseBackend, recogniser: Recogniser) -> None:
        self.pose = pose
        self.recogniser = recogniser

    def open_stream(self, options: Options = DEFAULT_OPTIONS) -> Stream:
        """Begin a video."""
        return Stream(self.pose, self.recogniser, options)

    def open_live(self, options: Options = DEFAULT_OPTIONS) -> LiveStream:
        """Begin a camera."""
        return LiveStream(self.pose, self.recogniser, options)

    def recognise(
        self, video: Video, options: Options = DEFAULT_OPTIONS, *, on_progress: Callable[[float], None] | None = None
    ) -> Recognition:
        """Return who did what in a video, from when to when; ``on_progress`` hears of the share done, in [0, 1].

        Memory does not grow with the length of the video, but for keypoints that are asked for.
        """
        stream = self.open_stream(options)
        frames = _timed(video.frames(fps=options.pose_fps, max_side=self.pose.max_side), stream.stopwatch)
        while group := tuple(islice(frames, max(self.pose.detect_every, 1))):
            stream.push(group)
            if on_progress:
                on_progress(video.progress)
        return stream.finish(video.info, video.warnings)

    def recognise_skeletons(self, clip: SkeletonClip, options: Options = DEFAULT_OPTIONS) -> Recognition:
        """Return who did what in keypoints that the caller has already: px with y down, each place in M one person.

        Raises:
            ValueError: two people have the same track id.
            UnfitClip: the model was trained on other skeletons, or must know the size of their picture.

        """
        if len(np.unique(clip.track_ids)) < len(clip.track_ids):
            raise ValueError(f"track_ids: expected a different one for each person, got {clip.track_ids.tolist()}")
        reader = ActionReader(self.recogniser, options, layout=clip.layout)
        reader.see_size(clip.size_wh)
        for place, time_s in enumerate(clip.times_s.tolist()):
            reader.take(_people_in(clip, place), time_s)
        return reader.finish(_info_of(clip))

    def warm_up(self) -> None:
        """Run every network once, so that the first request is as quick as the next."""
        frame = Frame(np.zeros((256, 256, 3), np.uint8), 0, 0.0)
        self.open_stream().push([frame])
        if self.pose.needs_boxes:  # nobody is found in an empty picture
            self.pose.follow([frame], [np.array([[64, 32, 192, 224]], np.float32)])
        somebody = [_standing_still(self.recogniser.card.features)]
        for explain in (True, False):
            self.recogniser.recognise(somebody, explain=explain)


def load_engine(  # noqa: PLR0913 - one argument a deployment setting; each caller names the few it has
    *,
    model: str = DEFAULT_MODEL,
    pose: str = DEFAULT_POSE,
    provider: str = "cpu",
    threads: int | None = None,
    pose_size: int | None = None,
    model_folders: Sequence[Path] = (),
    cache: Path | None = None,
) -> Engine:
    """Load a recogniser and a pose backend by name.

    Raises:
        UnknownModel: no bundle is called ``model``.
        BrokenBundle, WeightsMissing, ProviderMissing: see ``Recogniser`` and ``pose_backend``.
        ValueError: no pose backend is called ``pose``.

    """
    backend = pose_backend(pose, provider=provider, threads=threads, size=pose_size, cache=cache)
    return Engine(backend, Recogniser(bundle_named(model, model_folders), provider=provider, threads=threads))


def bundle_named(name: str, folders: Sequence[Path] = ()) -> Bundle:
    """Return an installed bundle; ``UnknownModel`` lists the known ones."""
    bundles = find_bundles(folders)
    if name not in bundles:
        raise UnknownModel(
            f"unknown model {name!r}: expected one of {', '.join(sorted(bundles)) or '(none installed)'}"
        )
    return bundles[name]


def _timed(frames: Iterator[Frame], stopwatch: Stopwatch) -> Iterator[Frame]:
    """Charge what a frame takes to arrive to "decode"."""
    while True:
        with stopwatch.time("decode"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _people_in(clip: SkeletonClip, place: int) -> Poses:
    """Return those of a clip's people that have a joint in this frame."""
    there = (clip.scores[place] > 0).any(axis=-1)
    keypoints, scores = clip.keypoints[place, there, :, :2], clip.scores[place, there]
    seen = np.where(scores[..., None] > 0, keypoints, np.nan)
    boxes = np.concatenate([np.nanmin(seen, axis=1), np.nanmax(seen, axis=1)], axis=-1).astype(np.float32)
    return Poses(keypoints, scores, boxes, scores.mean(axis=-1), clip.track_ids[there])


def _info_of(clip: SkeletonClip) -> VideoInfo:
    span_s = float(clip.times_s[-1] - clip.times_s[0]) if clip.num_frames > 1 else 0.0
    fps = (clip.num_frames - 1) / span_s if span_s > 0 else 0.0
    width, height = clip.size_wh or (0, 0)
    return VideoInfo(span_s + (1 / fps if fps else 0.0), fps, clip.num_frames, width, height)


def _standing_still(spec: FeatureSpec) -> SkeletonClip:
    """Return somebody seen twice, in the model's own layout and with all that it may need."""
    layout, num_axes = layout_named(spec.layout), 3 if "z" in spec.channels else 2
    shape = (2, 1, len(layout))
    keypoints = np.random.default_rng(0).random((*shape, num_axes), np.float32)
    times_s = np.array([0.0, 1.0])
    return SkeletonClip(
        keypoints,
        np.ones(shape, np.float32),
        times_s,
        np.zeros(1, np.int64),
        layout,
        start_s=0.0,
        end_s=1.0,
        size_wh=(256, 256),
    )
