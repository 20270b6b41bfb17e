"""Draw what was recognised: people, their ids and their actions, on one picture or through a whole video.

Between its samples a trajectory is interpolated, but no gap longer than ``MAX_GAP_S`` is bridged, and no label is shown
outside its segment.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from pipeline.figures import draw_people
from pipeline.layouts import Layout
from pipeline.values import Frame, Poses, Recognition, Track, Trajectory
from pipeline.video import DEFAULT_LIMITS, Video, VideoLimits, open_video

__all__ = ["annotate", "caption_at", "draw_people", "people_at"]

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

MAX_GAP_S = 0.5
HOLD_S = 0.1  # a little more than between two samples at 15 fps

ENCODERS: Mapping[str, Mapping[str, str]] = {"libx264": {"crf": "20", "preset": "veryfast"}, "mpeg4": {"q:v": "4"}}
TICKS_PER_S = 60_000  # common rates divide it, 30000/1001 too; MPEG-4 takes no more than 65535
BT601 = 6  # AVCOL_SPC_SMPTE170M


def annotate(
    source: bytes | Path,
    recognition: Recognition,
    layout: Layout,
    out: Path,
    *,
    limits: VideoLimits = DEFAULT_LIMITS,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Write an MP4 of the video with skeletons, ids, and over each person the label that runs.

    The picture keeps its size (odd sides grow by a pixel) and the frames their times; sound is left out. Memory does
    not grow with the length. ``out`` appears only once it is whole; whatever ``on_progress`` raises, who hears of the
    share done, in [0, 1], ends the work.

    Raises:
        ValueError: the recognition was made without keypoints, or with those of another layout.
        VideoError: the source cannot be decoded.
    """
    _check_trajectories(recognition.tracks, layout)
    part = out.with_name(f"{out.name}.part")
    try:
        with open_video(source, limits=limits) as video, _encoder(part, video) as encoder:
            for frame in video.frames():
                encoder.write(_draw_frame(frame, recognition.tracks, layout), frame.time_s)
                if on_progress:
                    on_progress(video.progress)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def people_at(tracks: Sequence[Track], time_s: float, num_joints: int) -> Poses:
    """Return who is seen at a time, interpolated between the samples of their trajectories."""
    seen = [
        (track.track_id, sample)
        for track in tracks
        if track.trajectory and (sample := _sample(track.trajectory, time_s)) is not None
    ]
    if not seen:
        return Poses.empty(num_joints)
    return Poses(
        np.stack([sample.keypoints for _, sample in seen]),
        np.stack([sample.scores for _, sample in seen]),
        np.stack([sample.box_xyxy for _, sample in seen]),
        np.ones(len(seen), np.float32),
        np.array([track_id for track_id, _ in seen], np.int64),
    )


def caption_at(track: Track, time_s: float) -> str:
    """Return "id label 87%" while a segment of the track runs (the surest, where several do), else the id alone."""
    running = [segment for segment in track.segments if segment.start_s <= time_s < segment.end_s]
    if not running:
        return str(track.track_id)
    surest = max(running, key=lambda segment: segment.score)
    return f"{track.track_id} {surest.label.replace('_', ' ')} {surest.score:.0%}"


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """One person at one time."""

    keypoints: Float32[F32, "V 2"]
    scores: Float32[F32, " V"]
    box_xyxy: Float32[F32, " 4"]


def _sample(trajectory: Trajectory, time_s: float) -> _Sample | None:
    """Interpolate between the samples around a time; none where they lie too far apart or away."""
    times = trajectory.times_s
    after = int(np.searchsorted(times, time_s, side="right"))
    before = after - 1
    if before >= 0 and after < len(times) and times[after] - times[before] <= MAX_GAP_S:
        return _between(trajectory, before, float((time_s - times[before]) / (times[after] - times[before])))
    near = [place for place in (before, after) if 0 <= place < len(times) and abs(times[place] - time_s) <= HOLD_S]
    return _between(trajectory, near[0], 0.0) if near else None


def _between(trajectory: Trajectory, before: int, share: float) -> _Sample:
    """Mix a sample with the next; a joint seen in one of them alone is as in the nearer."""
    after = min(before + 1, len(trajectory.times_s) - 1)
    near = before if share < 0.5 else after
    part = np.float32(share)
    in_both = (trajectory.scores[before] > 0) & (trajectory.scores[after] > 0)
    keypoints = (1 - part) * trajectory.keypoints[before] + part * trajectory.keypoints[after]
    scores = (1 - part) * trajectory.scores[before] + part * trajectory.scores[after]
    return _Sample(
        np.where(in_both[:, None], keypoints, trajectory.keypoints[near]).astype(np.float32),
        np.where(in_both, scores, trajectory.scores[near]).astype(np.float32),
        ((1 - part) * trajectory.boxes_xyxy[before] + part * trajectory.boxes_xyxy[after]).astype(np.float32),
    )


def _check_trajectories(tracks: Sequence[Track], layout: Layout) -> None:
    for track in tracks:
        if track.trajectory is None:
            raise ValueError(f"track {track.track_id} has no keypoints to draw; recognise with keypoints=True")
        num_joints = track.trajectory.scores.shape[1]
        if num_joints != len(layout):
            raise ValueError(
                f"track {track.track_id} has {num_joints} joints, {layout.name} has {len(layout)}; pass its layout"
            )


def _draw_frame(frame: Frame, tracks: Sequence[Track], layout: Layout) -> UInt8[U8, "H W 3"]:
    captions = {track.track_id: caption_at(track, frame.time_s) for track in tracks}
    return draw_people(frame.image, people_at(tracks, frame.time_s, len(layout)), layout, captions)


class _Encoder:
    """Writes RGB pictures with their times."""

    def __init__(self, container: OutputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self._reformatter = VideoReformatter()

    def write(self, image: UInt8[U8, "H W 3"], time_s: float) -> None:
        """Encode one picture; an odd side is made even by repeating its last row or column."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
        picture = self._reformatter.reformat(
            VideoFrame.from_ndarray(image, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
        )
        picture.pts, picture.time_base = round(time_s * TICKS_PER_S), Fraction(1, TICKS_PER_S)
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode(None))


@contextmanager
def _encoder(path: Path, video: Video) -> Iterator[_Encoder]:
    """Open an encoder for pictures like the video's, H.264 where there is one."""
    codec = next(name for name in ENCODERS if name in av.codecs_available)
    rate = Fraction(video.info.fps).limit_denominator(1001)
    with av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=dict(ENCODERS[codec])))
        stream.width, stream.height = video.info.width + video.info.width % 2, video.info.height + video.info.height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        stream.codec_context.sample_aspect_ratio = video.pixel_aspect
        stream.codec_context.colorspace = BT601
        encoder = _Encoder(container, stream)
        yield encoder
        encoder.finish()
