"""Labelled skeletons out of labelled videos: the main people of each clip at an even rate, by several processes."""

import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import lru_cache
from itertools import islice
from math import floor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from pipeline.clips import FEWEST_FRAMES, SHORTEST_S
from pipeline.draw import people_at
from pipeline.errors import DataError
from pipeline.layouts import Layout
from pipeline.pose import PoseBackend
from pipeline.values import Track
from training.sightings import Extraction, Sighting, Unreadable, find_people
from training.sources.registry import Dropped, Footage, LabelledClip, LabelledSequence, Opened

Found = tuple[Sighting, ...] | Unreadable


def extract(footage: Footage, settings: Extraction) -> Opened:
    """Open videos as a data set of the skeletons in them, which are looked for while it is read.

    Parts of one video come together, whatever their order was.

    Raises:
        WeightsMissing, ProviderMissing: see ``pose_backend``.
        ValueError: no pose backend has that name.
    """
    pose = settings.load_pose()
    return Opened(pose.layout, footage.classes, _sequences(footage, settings, pose), len(footage.clips))


def _sequences(footage: Footage, settings: Extraction, pose: PoseBackend) -> Iterator[LabelledSequence | Dropped]:
    by_file: defaultdict[Path, list[LabelledClip]] = defaultdict(list)
    for clip in footage.clips:
        if isinstance(clip, Dropped):
            yield clip
        else:
            by_file[clip.path].append(clip)
    tasks = list(by_file.values())
    for clips, found in zip(tasks, _find_all(tasks, settings, pose), strict=True):
        if isinstance(found, Unreadable):
            yield from (Dropped(clip.id, found.reason) for clip in clips)
            continue
        for clip, sighting in zip(clips, found, strict=True):
            yield sequence_of(clip, sighting, layout=pose.layout, people=settings.people)


def _find_all(tasks: Sequence[Sequence[LabelledClip]], settings: Extraction, pose: PoseBackend) -> Iterator[Found]:
    """Yield who is seen in each file's clips; ``DataError`` if a process is killed."""
    if settings.jobs == 1:
        yield from (find_people(clips, settings, pose) for clips in tasks)
        return
    with ExitStack() as at_the_end:
        # Not forked, for the threads of a network do not survive that.
        pool = ProcessPoolExecutor(settings.jobs, mp_context=get_context("spawn"), initializer=_leave_interrupts)
        at_the_end.callback(pool.shutdown, cancel_futures=True)
        try:
            yield from pool.map(_find_in_a_process, tasks, [settings] * len(tasks))
        except BrokenProcessPool as error:
            raise DataError(
                "a process that looked for people was killed, perhaps for want of memory: run this again with fewer "
                "jobs, what is finished is kept"
            ) from error


def _leave_interrupts() -> None:
    """Let Ctrl-C, which goes to all processes, be for the one that waits for the others: they finish their clip."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _find_in_a_process(clips: Sequence[LabelledClip], settings: Extraction) -> Found:
    return find_people(clips, settings, _loaded_pose(settings))


@lru_cache(maxsize=1)
def _loaded_pose(settings: Extraction) -> PoseBackend:
    """Load the backend once a process."""
    return settings.load_pose()


def sequence_of(clip: LabelledClip, sighting: Sighting, *, layout: Layout, people: int) -> LabelledSequence | Dropped:
    """Return the main people of a clip from when the first of them is seen until the last one is, the main one first.

    The frames are evenly spaced: in between looks they are interpolated, as far as drawings and features are.
    """
    if not sighting.tracks:
        return Dropped(clip.id, "nobody was found in it")
    chosen = main_tracks(sighting.tracks, people)
    if not chosen:
        return Dropped(clip.id, f"it is too short: nobody was seen for {SHORTEST_S} s or more")
    start_s, end_s = min(track.start_s for track in chosen), max(track.end_s for track in chosen)
    num_frames = floor((end_s - start_s) * sighting.fps + 1e-6) + 1
    keypoints = np.zeros((num_frames, people, len(layout), 2), np.float32)
    scores = np.zeros((num_frames, people, len(layout)), np.float32)
    places = {track.track_id: place for place, track in enumerate(chosen)}
    for frame in range(num_frames):
        seen = people_at(chosen, start_s + frame / sighting.fps, len(layout))
        rows = [places[track_id] for track_id in seen.track_ids.tolist()]
        keypoints[frame, rows], scores[frame, rows] = seen.keypoints, seen.scores
    return LabelledSequence(
        id=clip.id,
        label=clip.label,
        keypoints=keypoints,
        scores=scores,
        fps=sighting.fps,
        size_wh=sighting.size_wh,
        subject=clip.subject,
        splits=clip.splits,
    )


def main_tracks(tracks: Sequence[Track], people: int) -> tuple[Track, ...]:
    """Return up to so many who are seen for long enough to be recognised: those who are largest for longest first."""
    lasting = (
        track for track in tracks if track.end_s - track.start_s >= SHORTEST_S and _num_looks(track) >= FEWEST_FRAMES
    )
    return tuple(islice(sorted(lasting, key=_prominence, reverse=True), people))


def _num_looks(track: Track) -> int:
    return 0 if track.trajectory is None else len(track.trajectory.times_s)


def _prominence(track: Track) -> float:
    """Add up the sizes of a person's boxes (px, the side of a square as large) over all looks."""
    if track.trajectory is None:
        return 0.0
    sides = track.trajectory.boxes_xyxy[:, 2:] - track.trajectory.boxes_xyxy[:, :2]
    return float(np.sqrt(np.maximum(sides, 0).prod(axis=1)).sum())
