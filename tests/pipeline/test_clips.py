"""Windows stand at fixed moments of the stream, whoever is in the picture and however often the camera looks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pytest
from factories import COCO17, make_figure, make_poses, make_times
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clips import PREVIEW_SHARE, Windower
from pipeline.values import F64, Poses, SkeletonClip

Sights = Mapping[int, tuple[float, float]]  # when each person comes and goes


def people_at(time_s: float, sights: Sights) -> Poses:
    """Return who is there; how high people hold their arms tells who they are and when."""
    there = [track_id for track_id, (start_s, end_s) in sights.items() if start_s <= time_s <= end_s]
    return make_poses(*(make_figure(arms_up=time_s, x=100.0 * one) for one in there), track_ids=there)


def cut(
    sights: Sights, times_s: F64 | Sequence[float], *, window_s: float = 2.0, stride_s: float = 0.25
) -> list[SkeletonClip]:
    windower = Windower(COCO17, window_s=window_s, stride_s=stride_s)
    clips = [clip for time_s in times_s for clip in windower.push(people_at(time_s, sights), float(time_s))]
    return clips + windower.finish()


def centres(clips: Sequence[SkeletonClip], track_id: int = 1) -> list[float]:
    return [(clip.start_s + clip.end_s) / 2 for clip in clips if clip.track_ids.tolist() == [track_id]]


@pytest.mark.parametrize("fps", [7.5, 15, 29.97, 60])
@pytest.mark.parametrize("stride_s", [0.25, 0.4, 1.0])
def test_windows_are_centred_on_multiples_of_the_stride_at_any_frame_rate(fps: float, stride_s: float) -> None:
    clips = cut({1: (0, 6)}, make_times(6, fps=fps), stride_s=stride_s)
    assert centres(clips) == pytest.approx(np.arange(0, 6 + stride_s / 2, stride_s))
    assert {round(clip.end_s - clip.start_s, 9) for clip in clips} == {2.0}


def test_a_stream_may_begin_at_any_time() -> None:
    clips = cut({1: (-3.1, -0.9)}, make_times(2.2, start_s=-3.1))
    assert centres(clips) == pytest.approx(np.arange(-3.0, -0.8, 0.25))


def test_a_window_holds_the_frames_within_it() -> None:
    times_s = make_times(5)
    for clip in cut({1: (0, 5)}, times_s):
        inside = times_s[(times_s >= clip.start_s) & (times_s < clip.end_s)]
        assert clip.times_s.tolist() == inside.tolist()
        assert clip.keypoints.shape == (len(inside), 1, 17, 2)
        expected = np.stack([make_figure(arms_up=time_s, x=100) for time_s in inside])
        assert (clip.keypoints[:, 0] == expected).all()


def test_a_window_carries_the_size_of_the_picture_once_it_is_known() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.25)
    sizes = []
    for time_s in make_times(5):
        windower.size_wh = (640, 360) if time_s > 3 else None
        sizes += [clip.size_wh for clip in windower.push(people_at(time_s, {1: (0, 5)}), float(time_s))]
    assert sizes[0] is None
    assert sizes[-1] == (640, 360)


def test_a_window_comes_as_soon_as_it_is_complete() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.5)
    for time_s in make_times(4):
        for clip in windower.push(people_at(time_s, {1: (0, 4)}), time_s):
            assert clip.end_s <= time_s < clip.end_s + 0.1


def test_a_window_may_be_looked_at_when_most_of_it_has_gone_by() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.25)
    for time_s in make_times(4):
        complete = windower.push(people_at(time_s, {1: (0, 4)}), time_s)
        early = windower.preview(time_s)
        assert all(clip.end_s <= time_s for clip in complete)
        assert all(clip.start_s + PREVIEW_SHARE * 2.0 <= time_s < clip.end_s for clip in early)
        assert [clip.times_s[-1] for clip in early] == [time_s] * len(early)
        assert min(centres(early), default=windower.next_s) >= windower.next_s
        assert len(early) >= 2 or time_s < 1.5


def test_somebody_gets_windows_from_first_to_last_sight() -> None:
    found = centres(cut({1: (2.0, 5.6)}, make_times(10)))
    assert found == pytest.approx(np.arange(2.0, 5.7, 0.25))


def test_people_who_overlap_in_time_have_windows_of_their_own() -> None:
    sights = {3: (0.0, 4.0), 7: (2.0, 6.0)}
    together = cut(sights, make_times(6))
    assert [clip.start_s for clip in together] == sorted(clip.start_s for clip in together)
    for track_id, sight in sights.items():
        alone = cut({track_id: sight}, make_times(6))
        mine = [clip for clip in together if clip.track_ids.tolist() == [track_id]]
        assert centres(mine, track_id) == centres(alone, track_id)
        assert all((one.keypoints == other.keypoints).all() for one, other in zip(mine, alone, strict=True))


def test_somebody_who_is_away_for_a_moment_keeps_their_windows() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.5)
    clips = []
    for time_s in make_times(4):
        clips += windower.push(people_at(time_s, {} if 1.8 < time_s < 2.2 else {1: (0, 4)}), time_s)
    assert centres(clips + windower.finish()) == pytest.approx(np.arange(0, 4.1, 0.5))


@pytest.mark.parametrize("times_s", [[], [0.0], make_times(5)], ids=["no frame", "one frame", "5 s"])
def test_nobody_gives_no_window(times_s: Sequence[float]) -> None:
    assert cut({}, times_s) == []


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.6])
def test_a_short_sight_gives_no_window(seconds: float) -> None:
    assert cut({1: (1.0, 1.0 + seconds)}, make_times(4)) == []


def test_three_frames_are_too_few_for_a_window() -> None:
    assert cut({1: (0, 9)}, [0.0, 0.5, 1.0]) == []


@pytest.mark.parametrize(("fps", "is_enough"), [(3, False), (4, False), (5, True)])
def test_too_few_frames_a_second_give_no_window(fps: float, is_enough: bool) -> None:
    assert bool(cut({1: (0, 6)}, make_times(6, fps=fps))) is is_enough


def test_a_window_in_which_little_is_seen_is_left_out() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.5)
    scores = np.zeros((1, 17), np.float32)
    scores[:, :5] = 0.9
    for time_s in make_times(4):
        assert windower.push(make_poses(make_figure(), track_ids=[1], scores=scores), time_s) == []
    assert windower.finish() == []


def test_the_end_of_the_stream_is_the_end_of_its_windows() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.25)
    pushed = [clip for time_s in make_times(3) for clip in windower.push(people_at(time_s, {1: (0, 9)}), time_s)]
    assert max(centres(pushed)) == 2.0
    assert centres(windower.finish()) == [2.25, 2.5, 2.75, 3.0]
    assert windower.finish() == []


@pytest.mark.parametrize(("stride_s", "window_s"), [(0.0, 2.0), (-1.0, 2.0), (2.5, 2.0)])
def test_a_stride_that_would_skip_or_stand_still_is_refused(stride_s: float, window_s: float) -> None:
    with pytest.raises(ValueError, match="expected 0 < stride_s <= window_s, got stride"):
        Windower(COCO17, window_s=window_s, stride_s=stride_s)


def test_memory_is_that_of_one_window_a_person_however_long_the_stream() -> None:
    windower = Windower(COCO17, window_s=2.0, stride_s=0.25)
    remembered = []
    for turn, time_s in enumerate(make_times(120)):
        person = turn // 150  # somebody new every 10 s
        windower.push(make_poses(make_figure(), track_ids=[person]), float(time_s))
        remembered.append(sum(len(sightings.times_s) for sightings in windower._people.values()))
    assert max(remembered) <= 15 * (2.0 + 0.25) + 2


@pytest.mark.timeout(5)
@pytest.mark.parametrize("jump_s", [120.0, 1e6, 1e12])
def test_a_jump_in_time_costs_nothing(jump_s: float) -> None:
    times_s = [*make_times(3), *make_times(3, start_s=jump_s)]
    found = centres(cut({1: (0, 2 * jump_s)}, times_s))
    assert found == pytest.approx([*np.arange(0, 3.1, 0.25), *np.arange(jump_s, jump_s + 3.1, 0.25)])


@given(
    start_s=st.floats(0, 20),
    seconds=st.floats(0, 6),
    window_s=st.floats(0.8, 4),
    share=st.floats(0.1, 1),
    steps=st.lists(st.floats(0.02, 0.2), min_size=20, max_size=120),
)
@settings(max_examples=60, deadline=None)
def test_windows_of_any_stream_lie_on_the_grid_and_hold_what_was_seen(
    start_s: float, seconds: float, window_s: float, share: float, steps: list[float]
) -> None:
    times_s, stride_s = np.cumsum(steps), window_s * share
    clips = cut({1: (start_s, start_s + seconds)}, times_s, window_s=window_s, stride_s=stride_s)
    found = centres(clips)
    assert [round(centre / stride_s) * stride_s for centre in found] == pytest.approx(found)
    assert all(later - earlier > stride_s / 2 for earlier, later in pairwise(found))
    seen = set(times_s[(times_s >= start_s) & (times_s <= start_s + seconds)].tolist())
    for clip in clips:
        assert clip.start_s <= clip.times_s[0]
        assert clip.times_s[-1] < clip.end_s
        assert set(clip.times_s.tolist()) <= seen
