"""UESTC RGB-D Varying-view: 40 exercises by 118 people, before a camera in front and one at seven sides or going round.

Ji et al., "A Large-Scale RGB-D Database for Arbitrary-View Human Action Recognition", ACM MM 2018; the form is that of
https://github.com/HRI-UESTC/CFM-HRI-RGB-D-action-database, its description and its scripts/read_skeletons.py. A folder
or a zip of ``a0_d1_p001_c1_skeleton.mat``, or of ``.txt``, which are only read where there is no ``.mat``. Research
data set.

A ``.txt`` has a line "#" before each frame, then three lines a joint: metres, ending with 0, px in colour, ending with
1, and px in depth, ending with 2. A ``.mat`` has a row of 25 x 3 metres a frame, in ``v`` as published or in ``skel``
as the script writes it. The joints are a Kinect v2's, 30 frames a second, and are turned round as those of
``training.sources.ntu``. How well they were tracked is not told: one in the origin was not seen.

Splits: ``cs`` trains with 51 people. ``cv2`` trains with the even viewpoints and tests with the odd ones, ``cv2_odd``
the other way round; viewpoint 0 is the camera in front, 1 to 7 the sides. What was taken while going round has part in
``cs`` only. Of d5 to d7 the pictures from the front are copies of those of d3 to d1 for some actions, say the authors.

Nothing here was tried on the published files, for none are at hand. From the authors' own description come the names,
the actions, the ``.txt`` and ``skel``. From the code of others who read them (SURREACT,
https://github.com/gulvarol/surreact) come the 51 people, the ``v`` of a ``.mat``, and that every recording of the front
camera is of viewpoint 0. Which half of the viewpoints trains in Cross-view II is not verified: hence both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from pipeline.errors import DataError
from pipeline.layouts import NTU25
from pipeline.values import F32
from training.sources.files import Files, read_or_drop
from training.sources.matlab import read_arrays
from training.sources.ntu_bodies import TURN
from training.sources.registry import Dropped, LabelledSequence, Opened, register

FPS = 30.0
NUM_JOINTS = len(NTU25)
LINES_A_JOINT = 3
LINES_A_FRAME = 1 + LINES_A_JOINT * NUM_JOINTS
NAME = re.compile(r"a(\d{1,2})_d([1-8])_p(\d{2,3})_c([12])_skeleton")
MATRICES = ("v", "skel")
_ACTIONS = """
punch_and_lift_knee mark_time_and_lift_knee jumping_jack squat lunge_forward lunge_left stretch_left
raise_hand_and_jump kick_left rotate_and_clap raise_arms_in_turn pull_chest_expander punch circle_wrists
raise_single_dumbbell raise_shoulders circle_elbows press_dumbbell_with_one_arm circle_arms shrug_with_dumbbells
pinch_back circle_head_anticlockwise abduct_shoulders stretch_deltoid bend_straight_forward stretch_spine
bend_sideways_with_dumbbell elbow_to_knee_crunch rotate_standing stretch_overhead stretch_upper_back
pull_knee_to_chest circle_knees lift_knees_in_turn bend_over_and_twist skip_rope touch_toes stretch_calf
hop_sideways_on_one_leg run_with_high_knees
"""
ACTIONS = tuple(_ACTIONS.split())
NUM_SUBJECTS = 118
_TRAINING_SUBJECTS = (
    *(1, 2, 6, 12, 13, 16, 21, 24, 28, 29, 30, 31, 33, 35, 39, 41, 42, 45, 47, 50, 52, 54, 55, 57, 59, 61, 63, 64, 67),
    *(69, 70, 71, 73, 77, 81, 84, 86, 87, 88, 90, 91, 93, 96, 99, 102, 103, 104, 107, 108, 112, 113),
)
TRAINING_SUBJECTS = frozenset(_TRAINING_SUBJECTS)
FRONT, GOING_ROUND = 1, 8


@dataclass(frozen=True, slots=True)
class Take:
    """What the name of a file says: the action from 0, the side from 1, 8 for going round, the camera 1 or 2."""

    action: int
    side: int
    subject: int
    camera: int

    @property
    def viewpoint(self) -> int | None:
        """0 from the front, 1 to 7 from the sides, None while going round."""
        if self.camera == FRONT:
            return 0
        return None if self.side == GOING_ROUND else self.side

    @property
    def splits(self) -> dict[str, bool]:
        """Which splits it has part in, and whether it trains."""
        subjects = {"cs": self.subject in TRAINING_SUBJECTS}
        if self.viewpoint is None:
            return subjects
        return {**subjects, "cv2": self.viewpoint % 2 == 0, "cv2_odd": self.viewpoint % 2 == 1}


@register("uestc")
def open_uestc(path: Path) -> Opened:
    """Open the skeletons; ``DataError`` if there are none."""
    files = Files(path, "_skeleton.mat", "_skeleton.txt")
    ending = ".mat" if any(name.endswith(".mat") for name in files.names) else ".txt"
    names = tuple(name for name in files.names if name.endswith(ending))
    repeated = tuple(name for name in files.repeated if name.endswith(ending))
    return Opened(NTU25, ACTIONS, _sequences(files, names, repeated), len(names) + len(repeated))


def read_name(stem: str) -> Take:
    """Read the name of a file; ``DataError`` if it is none of this set's.

    >>> read_name("a13_d3_p102_c2_skeleton").viewpoint
    3
    """
    match = NAME.fullmatch(stem)
    take = Take(*(int(number) for number in match.groups())) if match else None
    if take is None or take.action >= len(ACTIONS) or not 1 <= take.subject <= NUM_SUBJECTS:
        raise DataError(
            f"expected a name like a0_d1_p001_c1_skeleton, up to a{len(ACTIONS) - 1}, d8, p{NUM_SUBJECTS} and c2"
        )
    return take


def _sequences(files: Files, names: tuple[str, ...], repeated: tuple[str, ...]) -> Iterator[LabelledSequence | Dropped]:
    with files:
        for name in names:
            yield read_or_drop(name[: -len("_skeleton.txt")], partial(_read, files, name))
    for name in repeated:
        yield Dropped(name[: -len("_skeleton.txt")], "it lies there twice; the first counts")


def _read(files: Files, name: str) -> LabelledSequence:
    take = read_name(name[: -len(".txt")])
    joints = (read_matrix if name.endswith(".mat") else read_text)(files.read(name))
    return LabelledSequence(
        id=name[: -len("_skeleton.txt")],
        label=ACTIONS[take.action],
        keypoints=(joints * TURN)[:, None],
        scores=(joints != 0).any(axis=-1).astype(np.float32)[:, None],
        fps=FPS,
        subject=take.subject,
        splits=take.splits,
    )


def read_text(content: bytes) -> Float32[F32, "T 25 3"]:
    """Read the metres of every frame of a ``.txt``; ``DataError`` if it is not of that form."""
    lines = [line for line in content.splitlines() if line.strip()]
    num_frames, rest = divmod(len(lines), LINES_A_FRAME)
    if rest:
        raise DataError(f"expected {LINES_A_FRAME} lines a frame, got {rest} after frame {num_frames}: it ends early")
    if not all(line.strip() == b"#" for line in lines[::LINES_A_FRAME]):
        raise DataError(f"expected a line # before each {LINES_A_FRAME - 1} lines of a frame")
    rows = [lines[place].split() for place in range(len(lines)) if place % LINES_A_FRAME % LINES_A_JOINT == 1]
    if any(len(row) != 4 or row[3] != b"0" for row in rows):
        raise DataError("expected x, y, z in metres and 0 on the first of three lines a joint")
    try:
        metres = np.array([float(word) for row in rows for word in row[:3]], np.float32)
    except ValueError as error:
        raise DataError(f"expected a number for each coordinate: {error}") from error
    return metres.reshape(-1, NUM_JOINTS, 3)


def read_matrix(content: bytes) -> Float32[F32, "T 25 3"]:
    """Read the metres of every frame of a ``.mat``; ``DataError`` if it is not of that form."""
    found = read_arrays(content)
    matrix = next((found[name] for name in MATRICES if name in found), None)
    if matrix is None or matrix[:1].size not in (0, NUM_JOINTS * 3):
        raise DataError(f"expected {' or '.join(MATRICES)} with {NUM_JOINTS} x 3 numbers a row")
    return np.asarray(matrix, np.float32).reshape(-1, NUM_JOINTS, 3)
