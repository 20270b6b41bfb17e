"""What a job's result is kept as, and how it goes out: nothing here grows with the length of a video, but for its file.

The answer without keypoints is small; it is kept compressed in the job's row. Keypoints, which four hours of video can
make hundreds of megabytes of, are arrays in a file of their own, read one person at a time and written out as JSON a
piece at a time.
"""

import csv
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from pydantic import BaseModel

from pipeline.layouts import Layout, layout_named
from pipeline.values import LabelScore, Recognition, Segment, Track, Trajectory, VideoInfo
from service.jobs.folder import sync
from service.jobs.schemas import JobAnswer
from service.schemas import Answer, Keypoints, SegmentAnswer, TrackAnswer, keypoints_of

LAYOUT = "layout"
ARRAYS = tuple(field.name for field in fields(Trajectory))
PIECE_FRAMES = 500
CSV_COLUMNS = ("track_id", "label", "score", "start_s", "end_s", "key_joints")


def packed(answer: Answer) -> bytes:
    """Return an answer as it is kept."""
    return zlib.compress(answer.model_dump_json().encode())


def unpacked(kept: bytes) -> Answer:
    """Return the answer that was kept."""
    return Answer.model_validate_json(zlib.decompress(kept))


def save_keypoints(path: Path, recognition: Recognition, layout: Layout) -> None:
    """Keep everybody's keypoints; they are on the disk when this returns."""
    arrays: dict[str, Any] = {LAYOUT: np.array(layout.name)}
    for track in recognition.tracks:
        arrays |= {f"{track.track_id}.{name}": getattr(track.trajectory, name) for name in ARRAYS}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
    sync(path)


class SavedKeypoints:
    """Everybody's keypoints, of which no more than one person's are in memory at a time."""

    def __init__(self, path: Path) -> None:
        self._arrays = np.load(path)
        self.layout = layout_named(str(self._arrays[LAYOUT]))

    def __enter__(self) -> "SavedKeypoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arrays.close()

    def trajectory(self, track_id: int) -> Trajectory:
        """Return what was seen of one person."""
        return Trajectory(**{name: self._arrays[f"{track_id}.{name}"] for name in ARRAYS})


def recognition_of(answer: Answer, keypoints: SavedKeypoints) -> Recognition:
    """Return what an annotated video is drawn from; here everybody's keypoints are in memory."""
    tracks = [
        Track(
            track.track_id,
            track.start_s,
            track.end_s,
            tuple(_segment(segment) for segment in track.segments),
            keypoints.trajectory(track.track_id),
        )
        for track in answer.tracks
    ]
    return Recognition(VideoInfo(**answer.video.model_dump()), tuple(tracks))


def job_text(job: JobAnswer, answer: Answer, keypoints: SavedKeypoints | None) -> Iterator[str]:
    """Write a job with its result as JSON, piece by piece; ``keypoints`` is closed at the end."""
    if keypoints is None:
        yield from _filled(job, "result", [answer.model_dump_json()])
        return
    with keypoints:
        yield from _filled(job, "result", _answer_text(answer, keypoints))


def segments_csv(answer: Answer) -> str:
    """Write every segment as a line of ``CSV_COLUMNS``; joints are separated by spaces."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(CSV_COLUMNS)
    for track in answer.tracks:
        for segment in track.segments:
            joints = " ".join(segment.explanation.key_joints)
            lines.writerow([track.track_id, segment.label, segment.score, segment.start_s, segment.end_s, joints])
    return text.getvalue()


def _segment(segment: SegmentAnswer) -> Segment:
    return Segment(
        label=segment.label,
        label_id=segment.label_id,
        score=segment.score,
        start_s=segment.start_s,
        end_s=segment.end_s,
        top_k=tuple(LabelScore(other.label, other.score) for other in segment.top_k),
    )


def _answer_text(answer: Answer, keypoints: SavedKeypoints) -> Iterator[str]:
    tracks = _listed(_track_text(track, keypoints) for track in answer.tracks)
    yield from _filled(answer.model_copy(update={"tracks": []}), "tracks", tracks)


def _track_text(track: TrackAnswer, keypoints: SavedKeypoints) -> Iterator[str]:
    yield from _filled(track, "keypoints", _keypoints_text(keypoints.trajectory(track.track_id), keypoints.layout))


def _keypoints_text(trajectory: Trajectory, layout: Layout) -> Iterator[str]:
    empty = Keypoints(times_s=[], layout=layout.name, points=[], boxes=[])
    before, between, after, end = empty.model_dump_json().split("[]")
    for text, name in ((before, "times_s"), (between, "points"), (after, "boxes")):
        yield text
        yield from _listed([json.dumps(getattr(piece, name))[1:-1]] for piece in _pieces(trajectory, layout))
    yield end


def _pieces(trajectory: Trajectory, layout: Layout) -> Iterator[Keypoints]:
    for start in range(0, len(trajectory.times_s), PIECE_FRAMES):
        frames = slice(start, start + PIECE_FRAMES)
        yield keypoints_of(Trajectory(*(getattr(trajectory, name)[frames] for name in ARRAYS)), layout)


def _listed(items: Iterable[Iterable[str]]) -> Iterator[str]:
    """Write a JSON list of items that come in pieces."""
    yield "["
    for place, item in enumerate(items):
        yield "," if place else ""
        yield from item
    yield "]"


def _filled(model: BaseModel, field: str, pieces: Iterable[str]) -> Iterator[str]:
    """Write a model as JSON with pieces in place of an empty field; inside a string its quotes would be escaped."""
    empty = json.dumps(getattr(model, field))
    before, name, after = model.model_dump_json().partition(f'"{field}":{empty}')
    yield before + name.removesuffix(empty)
    yield from pieces
    yield after
