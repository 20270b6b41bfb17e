"""From the text of a ``.skeleton`` file to at most two people, as the literature cleans NTU RGB+D.

The rules and their thresholds are those that CTR-GCN's and MS-G3D's data preparation share; they were chosen on NTU
RGB+D's own sequences. They only ever apply where the sensor followed more than one body.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.values import B1, F32, I64

NUM_JOINTS = 25
# A joint's words are x y z, 2 + 2 px in depth and colour, 4 of orientation, and how well it was tracked.
WORDS_A_JOINT = 12
# Before a body's joints: its id, six flags, the lean in x and y, its tracking state, and the number of its joints.
WORDS_A_HEAD = 11
MOST_PEOPLE = 2
# Bodies of at most this many frames are noise.
NOISE_FRAMES = 11
# Somebody is upright in a frame if they are at most this many times as wide as high ...
WIDEST = 0.8
# ... and a body is noise that is not, in this share of its frames.
NOISE_SHARE = 0.69754
# A joint's tracking state, as a score: not tracked, inferred, tracked.
STATE_SCORES = np.array([0.0, 0.5, 1.0], np.float32)
# The sensor's x points to its own left, and its y up.
TURN = np.array([-1, -1, 1], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Somebody whom the sensor followed: in which frames, where, in metres along its axes, and how well (0, 1, 2)."""

    frames: Int64[I64, " F"]
    joints: Float32[F32, "F 25 3"]
    states: Int64[I64, "F 25"]

    @property
    def motion(self) -> float:
        """How far the joints spread over the sequence, m2: over its upright frames, if that is less."""
        motion, upright = _variance(self.joints), upright_frames(self)
        return min(motion, _variance(self.joints[upright])) if upright.any() else motion


def read_bodies(content: bytes) -> tuple[Body, ...]:
    """Read every body of a ``.skeleton`` file, in the order of appearance.

    Raises:
        DataError: the text ends early, goes on after its last frame, or is no such text; a body has not 25 joints.

    """
    words = content.split()
    blocks = list(_find_blocks(words))
    joints = [word for *_, start in blocks for word in words[start : start + NUM_JOINTS * WORDS_A_JOINT]]
    # Only these columns: what is written of px and orientation may be a Windows NaN, "-1.#IND".
    try:
        columns = [np.array([float(word) for word in joints[place::WORDS_A_JOINT]]) for place in (0, 1, 2, 11)]
    except ValueError as error:
        raise DataError(f"expected a number for each coordinate: {error}") from error
    x, y, z, states = (column.reshape(-1, NUM_JOINTS) for column in columns)
    if not np.isin(states, (0, 1, 2)).all():
        raise DataError("expected 0, 1 or 2 for how well a joint was tracked")
    rows: dict[bytes, list[int]] = {}
    for row, (_, tracking_id, _) in enumerate(blocks):
        rows.setdefault(tracking_id, []).append(row)  # as text: a number of 57 bits is no float
    frames, xyz = np.array([frame for frame, *_ in blocks], np.int64), np.stack([x, y, z], axis=-1).astype(np.float32)
    return tuple(Body(frames[at], xyz[at], states[at].astype(np.int64)) for at in rows.values())


def _find_blocks(words: Sequence[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Walk through the counts: of every body in every frame, the frame, its id, and where its joints begin."""
    frame, num_frames, place = 0, 0, 1
    try:
        num_frames = int(words[0])
        for frame in range(num_frames):
            num_bodies, place = int(words[place]), place + 1
            for _ in range(num_bodies):
                num_joints = int(words[place + WORDS_A_HEAD - 1])
                if num_joints != NUM_JOINTS:
                    raise DataError(f"expected {NUM_JOINTS} joints a body, got {num_joints} in frame {frame}")
                yield frame, words[place], place + WORDS_A_HEAD
                place += WORDS_A_HEAD + NUM_JOINTS * WORDS_A_JOINT
    except IndexError as error:
        raise DataError(f"it ends early, in frame {frame} of {num_frames}") from error
    except ValueError as error:
        raise DataError(f"expected the number of frames, bodies or joints at frame {frame}: {error}") from error
    if place != len(words):
        raise DataError(
            f"it {'goes on after' if place < len(words) else 'ends early, in'} the last of {num_frames} frames"
        )


def upright_frames(body: Body) -> Bool[B1, " F"]:
    """Say in which frames a body is not much wider than high, as people mostly are and furniture is not."""
    width, height = np.moveaxis(np.ptp(body.joints[..., :2], axis=1), -1, 0)
    return np.asarray(width <= WIDEST * height)


def without_short(bodies: Sequence[Body]) -> Sequence[Body]:
    """Leave out bodies of a few frames, unless there are no others."""
    return [body for body in bodies if len(body.frames) > NOISE_FRAMES] or bodies


def without_spread(bodies: Sequence[Body]) -> Sequence[Body]:
    """Leave out bodies that are hardly ever upright; if all are so, the last one stays."""
    return [body for body in bodies if 1 - upright_frames(body).mean() < NOISE_SHARE] or bodies[-1:]


def choose_people(bodies: Sequence[Body]) -> list[list[Body]]:
    """Choose at most two people, each as bodies that take turns: the sensor gives those a new id whom it lost.

    The body with the most motion is the first person. Each other one, by motion, goes on with the first whose time it
    does not overlap, or is left out.
    """
    if len(bodies) > 1:
        bodies = without_short(bodies)
    if len(bodies) > 1:
        bodies = without_spread(bodies)
    people: list[list[Body]] = []
    for body in sorted(bodies, key=lambda body: body.motion, reverse=True):
        free = next((person for person in people if not _overlap(person, body)), None)
        if free is not None:
            free.append(body)
        elif len(people) < MOST_PEOPLE:
            people.append([body])
    return people


def _overlap(person: Sequence[Body], body: Body) -> bool:
    first, last = min(other.frames[0] for other in person), max(other.frames[-1] for other in person)
    return bool(min(last, body.frames[-1]) > max(first, body.frames[0]))


def compose(people: Sequence[Sequence[Body]]) -> tuple[Float32[F32, "T M 25 3"], Float32[F32, "T M 25"]]:
    """Write people side by side, x to the right, y down and z away from the camera, with scores.

    Frames without any of them are cut out, as the literature does.
    """
    if not people:
        return np.zeros((0, 1, NUM_JOINTS, 3), np.float32), np.zeros((0, 1, NUM_JOINTS), np.float32)
    times = np.unique(np.concatenate([body.frames for person in people for body in person]))
    keypoints = np.zeros((len(times), len(people), NUM_JOINTS, 3), np.float32)
    scores = np.zeros((len(times), len(people), NUM_JOINTS), np.float32)
    for place, person in enumerate(people):
        for body in person:
            at = np.searchsorted(times, body.frames)
            keypoints[at, place] = body.joints * TURN
            scores[at, place] = STATE_SCORES[body.states]
    return keypoints, scores


def _variance(joints: NDArray[np.float32]) -> float:
    return float(joints.reshape(-1, 3).astype(np.float64).var(axis=0).sum())
