"""Reading .skeleton text and the rules that choose people, each rule by itself."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pipeline.errors import DataError
from training.sources.ntu_bodies import (
    NOISE_FRAMES,
    NOISE_SHARE,
    Body,
    choose_people,
    compose,
    read_bodies,
    upright_frames,
    without_short,
    without_spread,
)

HEAD = "0 0 1 1 1 1 0 0.1 -0.2 2"


def write_text(frames: Sequence[Sequence[tuple[int, float]]], *, num_joints: int = 25, state: str = "2") -> bytes:
    """Write bodies given as (id, x of the first joint); joint v is at (x + v, 2 v, 3)."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for tracking_id, x in bodies:
            lines += [f"{tracking_id} {HEAD[2:]}", str(num_joints)]
            lines += [f"{x + joint} {2 * joint} 3 1 2 3 4 0.5 0.5 0.5 -1.#IND {state}" for joint in range(num_joints)]
    return "\n".join(lines).encode()


def make_body(
    frames: Sequence[int] | range, *, width: float = 0.5, height: float = 1.5, motion: float = 0.0, wide: float = 0.0
) -> Body:
    """Make a body of a size, which goes so far in x, and is three times as wide in the first share of its frames."""
    joints = np.zeros((len(frames), 25, 3), np.float32)
    joints[:, :, 0] = np.linspace(0, width, 25)
    joints[:, :, 1] = np.linspace(0, height, 25)
    joints[: round(wide * len(frames)), :, 0] *= 3 * height / width
    joints[..., 2] += np.linspace(0, motion, len(frames))[:, None]
    return Body(np.array(frames, np.int64), joints, np.full((len(frames), 25), 2, np.int64))


def test_bodies_are_told_apart_by_ids_that_no_float_can_hold() -> None:
    first, second = 72057594037931768, 72057594037931769
    bodies = read_bodies(write_text([[(first, 0.0)], [(first, 1.0), (second, 5.0)], [], [(second, 6.0)]]))
    assert [body.frames.tolist() for body in bodies] == [[0, 1], [1, 3]]
    assert [body.joints[:, 0, 0].tolist() for body in bodies] == [[0, 1], [5, 6]]
    assert bodies[0].joints[0, 7].tolist() == [7, 14, 3]


@pytest.mark.parametrize("newline", [b"\r\n", b" ", b"\n\n"], ids=["windows", "one line", "blank lines"])
def test_how_the_lines_end_does_not_matter(newline: bytes) -> None:
    content = write_text([[(1, 0.0)]] * 3)
    assert np.array_equal(read_bodies(content.replace(b"\n", newline))[0].joints, read_bodies(content)[0].joints)


def test_nobody_at_all_is_no_fault() -> None:
    assert read_bodies(b"2\n0\n0\n") == ()
    keypoints, scores = compose(choose_people(()))
    assert (keypoints.shape, scores.shape) == ((0, 1, 25, 3), (0, 1, 25))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"", "ends early, in frame 0 of 0"),
        (lambda content: content[: len(content) // 2], "ends early, in"),
        (lambda content: content.rsplit(b"\n", 1)[0], "ends early, in"),
        (lambda content: content.rsplit(b" ", 1)[0], "ends early, in"),
        (lambda content: content + b"\n1\n", "goes on after the last of 3 frames"),
        (lambda content: b"three" + content[1:], "expected the number of frames"),
        (lambda content: content.replace(b"3 1 2", b"3,5 1 2"), "a number for each coordinate"),
        (lambda content: write_text([[(1, 0.0)]], num_joints=20), "expected 25 joints a body, got 20 in frame 0"),
        (lambda content: write_text([[(1, 0.0)]], state="7"), "how well a joint was tracked"),
    ],
    ids=["empty", "half", "no last line", "no last word", "longer", "words", "commas", "20 joints", "states"],
)
def test_text_of_another_form_is_refused(change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_bodies(change(write_text([[(1, 0.0)]] * 3)))


def test_bodies_of_a_few_frames_are_noise_unless_there_are_no_others() -> None:
    short, longer = make_body(range(NOISE_FRAMES)), make_body(range(NOISE_FRAMES + 1))
    assert without_short([short, longer]) == [longer]
    assert without_short([short]) == [short]


def test_somebody_wider_than_four_fifths_of_their_height_is_not_upright() -> None:
    assert upright_frames(make_body(range(4), width=0.79, height=1.0)).all()
    assert not upright_frames(make_body(range(4), width=0.81, height=1.0)).any()
    assert upright_frames(make_body(range(4), wide=0.5)).tolist() == [False, False, True, True]


def test_bodies_that_are_hardly_ever_upright_are_noise_but_the_last_one_stays() -> None:
    still, flat, flatter = make_body(range(100), wide=0.69), make_body(range(100), wide=0.70), make_body([0], wide=1)
    assert 0.69 < NOISE_SHARE < 0.70
    assert without_spread([still, flat]) == [still]
    assert without_spread([flat, flatter]) == [flatter]


def test_motion_is_measured_in_upright_frames_if_it_is_less_there() -> None:
    assert make_body(range(20), motion=2.0).motion > make_body(range(20)).motion
    assert make_body(range(20), wide=0.5).motion == pytest.approx(make_body(range(20)).motion)


def test_the_two_with_the_most_motion_are_chosen() -> None:
    bodies = [make_body(range(20), motion=motion) for motion in (0.0, 2.0, 1.0)]
    assert choose_people(bodies) == [[bodies[1]], [bodies[2]]]


def test_a_body_goes_on_where_another_was_lost() -> None:
    moving, later, beside = make_body(range(20), motion=2.0), make_body(range(20, 40)), make_body(range(15, 35))
    assert choose_people([moving, later, beside]) == [[moving, later], [beside]]


def test_somebody_alone_is_never_noise() -> None:
    lying = make_body(range(5), wide=1)
    assert choose_people([lying]) == [[lying]]


def test_people_are_turned_round_and_frames_without_them_cut_out() -> None:
    first, second = make_body([1, 2, 5]), make_body([5, 6])
    first.states[0, 3:5] = 0, 1
    keypoints, scores = compose([[first], [second]])
    assert keypoints.shape == (4, 2, 25, 3)
    assert np.array_equal(keypoints[:3, 0], first.joints * np.array([-1, -1, 1], np.float32))
    assert np.array_equal(keypoints[2:, 1], second.joints * np.array([-1, -1, 1], np.float32))
    assert scores[0, 0, 2:5].tolist() == [1, 0, 0.5]
    assert not scores[3, 0].any()
    assert not scores[:2, 1].any()
