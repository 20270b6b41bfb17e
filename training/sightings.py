"""Who is seen in a video, found by the very stages that serve, and kept so that it is looked for once.

What was found in a clip lies in a folder under the hash of the video's content and of all that decides on the outcome,
so that it stays right whatever files are called, and serves every data set that the clip is in.
"""

import hashlib
import json
import math
import os
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.actions import DEFAULT_OPTIONS, Stopwatch
from pipeline.engine import DEFAULT_POSE
from pipeline.errors import VideoError
from pipeline.follow import Follower
from pipeline.pose import PoseBackend, pose_backend
from pipeline.pose.cache import default_cache
from pipeline.pose.registry import weights_of_backends
from pipeline.values import Frame, Poses, Track, Trajectory
from pipeline.video import open_video
from training.disk import whole_file
from training.sources.registry import LabelledClip

# The form of what is kept; with another number, nothing older is read.
FORM = 1
FOLDER = "clips"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """How skeletons are found: the pose backend and what it runs on, in how many processes, and for whom.

    ``people`` are the main ones of each clip. ``pose_fps`` and ``max_people`` are those that serving uses. ``cache``
    holds pulled weights and, in a folder, what was found; None is the usual place.

    Raises:
        ValueError: a count is below 1, or the rate not above 0.
    """

    pose: str = DEFAULT_POSE
    provider: str = "cpu"
    jobs: int = 1
    people: int = 1
    pose_fps: float = DEFAULT_OPTIONS.pose_fps
    max_people: int = DEFAULT_OPTIONS.max_people
    cache: Path | None = None

    def __post_init__(self) -> None:
        for name in ("jobs", "people", "max_people"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 < self.pose_fps < math.inf:
            raise ValueError(f"pose_fps: expected a number above 0, got {self.pose_fps}")

    def load_pose(self) -> PoseBackend:
        """Load the pose backend, for one process of so many; see ``pose_backend`` for what may be wrong."""
        threads = None if self.jobs == 1 else max(1, (os.cpu_count() or 1) // self.jobs)
        return pose_backend(self.pose, provider=self.provider, threads=threads, cache=self.cache)

    def place_of(self, clip: LabelledClip, content: str) -> Path:
        """Return where it is kept who is seen in a clip of a video whose content has that hash."""
        decisive = {
            "form": FORM,
            "content": content,
            "part_s": (clip.start_s, clip.end_s),
            "pose": self.pose,
            "weights": [file.sha256 for file in weights_of_backends().get(self.pose, ())],
            "pose_fps": self.pose_fps,
            "max_people": self.max_people,
        }
        name = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        return (self.cache or default_cache()) / FOLDER / f"{name}.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Everybody followed through a clip: px of its video, ``fps`` looks a second on average."""

    size_wh: tuple[int, int]
    fps: float
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A video that cannot be decoded, and why."""

    reason: str


def find_people(
    clips: Sequence[LabelledClip], settings: Extraction, pose: PoseBackend
) -> tuple[Sighting, ...] | Unreadable:
    """Return who is seen in each of the clips, all parts of one video; it is decoded only for what is not kept yet.

    Raises:
        DataError: what was found cannot be kept.
    """
    path = clips[0].path
    try:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Unreadable(f"it cannot be read: {error.strerror}")
    places = [settings.place_of(clip, content) for clip in clips]
    kept = [recall(place) for place in places]
    missing = [clip for clip, sighting in zip(clips, kept, strict=True) if sighting is None]
    try:
        found = iter(_look(path, missing, settings, pose) if missing else ())
    except VideoError as error:
        return Unreadable(f"it cannot be decoded: {error}")
    sightings = []
    for place, sighting in zip(places, kept, strict=True):
        if sighting is None:
            sighting = next(found)
            keep(place, sighting)
        sightings.append(sighting)
    return tuple(sightings)


def _look(path: Path, clips: Sequence[LabelledClip], settings: Extraction, pose: PoseBackend) -> tuple[Sighting, ...]:
    """Decode a video once, as far as is needed, and follow the people in each part of it."""
    with open_video(path) as video:
        looks = [_Look(clip, settings, pose) for clip in clips]
        last_s = max(clip.end_s for clip in clips)
        for frame in video.frames(fps=settings.pose_fps, max_side=pose.max_side):
            if frame.time_s >= last_s:
                break
            for look in looks:
                look.take(frame)
        size_wh = video.info.width, video.info.height
        return tuple(look.finish(size_wh) for look in looks)


class _Look:
    """One clip's people, followed frame by frame."""

    def __init__(self, clip: LabelledClip, settings: Extraction, pose: PoseBackend) -> None:
        self._clip, self._settings, self._group = clip, settings, max(pose.detect_every, 1)
        self._follower = Follower(pose, max_people=settings.max_people, stopwatch=Stopwatch())
        self._waiting: list[Frame] = []
        self._times_s: list[float] = []
        self._people: defaultdict[int, list[tuple[float, Poses]]] = defaultdict(list)

    def take(self, frame: Frame) -> None:
        """Take a frame of the video, if it belongs to the clip."""
        if self._clip.start_s <= frame.time_s < self._clip.end_s:
            self._times_s.append(frame.time_s)
            self._waiting.append(frame)
            if len(self._waiting) == self._group:
                self._follow()

    def finish(self, size_wh: tuple[int, int]) -> Sighting:
        """Return who was seen."""
        self._follow()
        span_s = self._times_s[-1] - self._times_s[0] if self._times_s else 0.0
        fps = (len(self._times_s) - 1) / span_s if span_s else self._settings.pose_fps
        return Sighting(size_wh, fps, tuple(_track(*person) for person in sorted(self._people.items())))

    def _follow(self) -> None:
        frames, self._waiting = self._waiting, []
        for frame, poses in zip(frames, self._follower.follow(frames), strict=True):
            for place, track_id in enumerate(poses.track_ids.tolist()):
                self._people[track_id].append((frame.time_s, poses.select(np.array([place]))))


def _track(track_id: int, seen: Sequence[tuple[float, Poses]]) -> Track:
    times_s = np.array([time_s for time_s, _ in seen])
    poses = [one for _, one in seen]
    trajectory = Trajectory(
        times_s,
        np.concatenate([one.keypoints for one in poses]),
        np.concatenate([one.scores for one in poses]),
        np.concatenate([one.boxes_xyxy for one in poses]),
    )
    return Track(track_id, float(times_s[0]), float(times_s[-1]), (), trajectory)


def keep(place: Path, sighting: Sighting) -> None:
    """Write down who was seen; ``DataError`` if that is not possible."""
    paths = [track.trajectory for track in sighting.tracks if track.trajectory is not None]
    with whole_file(place) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            size_wh=np.array(sighting.size_wh),
            fps=np.array(sighting.fps),
            track_ids=np.array([track.track_id for track in sighting.tracks], np.int64),
            counts=np.array([len(path.times_s) for path in paths], np.int64),
            times_s=_joined([path.times_s for path in paths]),
            keypoints=_joined([path.keypoints for path in paths]),
            scores=_joined([path.scores for path in paths]),
            boxes_xyxy=_joined([path.boxes_xyxy for path in paths]),
        )


def _joined(columns: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    return np.concatenate(columns) if columns else np.zeros(0, np.float32)


def recall(place: Path) -> Sighting | None:
    """Read who was seen; None if nothing is there that can be read, so that it must be looked for."""
    try:
        with place.open("rb") as file:
            arrays = dict(np.load(file, allow_pickle=False))
        width, height = arrays["size_wh"].tolist()
        ends = np.cumsum(arrays["counts"])[:-1]
        columns = [np.split(arrays[name], ends) for name in ("times_s", "keypoints", "scores", "boxes_xyxy")]
        tracks = [
            Track(track_id, float(path[0][0]), float(path[0][-1]), (), Trajectory(*path))
            for track_id, *path in zip(arrays["track_ids"].tolist(), *columns, strict=False)
        ]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return Sighting((width, height), float(arrays["fps"]), tuple(tracks))
