"""Who is seen in a video is found by the stages that serve, and kept so that it is looked for once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import COCO17, FakePose, make_figure
from footage import write_film

from pipeline.actions import Stopwatch
from pipeline.follow import Follower, size_of_video
from pipeline.values import F32, Frame
from pipeline.video import open_video
from training import sightings
from training.sightings import Extraction, Sighting, Unreadable, find_people, keep, recall
from training.sources.registry import LabelledClip


def walking(time_s: float) -> list[F32]:
    """Somebody walks; from 1 s on a smaller one stands beside them."""
    first = make_figure(x=60 + 40 * time_s, torso=50, arms_up=0.5)
    return [first, make_figure(x=260, torso=30)] if time_s >= 1 else [first]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mp4")


@pytest.fixture
def settings(tmp_path: Path) -> Extraction:
    return Extraction(cache=tmp_path / "cache")


def make_labelled(path: Path, **more: object) -> LabelledClip:
    return LabelledClip(**{"id": path.name, "label": "walk", "path": path, **more})  # type: ignore[arg-type]


def found(clips: Sequence[LabelledClip], settings: Extraction, pose: FakePose) -> tuple[Sighting, ...]:
    answer = find_people(clips, settings, pose)
    assert not isinstance(answer, Unreadable)
    return answer


def served_frames(film: Path) -> Iterator[Frame]:
    with open_video(film) as video:
        yield from video.frames(fps=15.0)


def assert_alike(one: Sighting, other: Sighting) -> None:
    assert (one.size_wh, one.fps, len(one.tracks)) == (other.size_wh, other.fps, len(other.tracks))
    for mine, yours in zip(one.tracks, other.tracks, strict=True):
        assert (mine.track_id, mine.start_s, mine.end_s) == (yours.track_id, yours.start_s, yours.end_s)
        assert mine.trajectory is not None
        assert yours.trajectory is not None
        for name in ("times_s", "keypoints", "scores", "boxes_xyxy"):
            assert np.array_equal(getattr(mine.trajectory, name), getattr(yours.trajectory, name))


@pytest.mark.parametrize("pose", [FakePose(walking), FakePose(walking, needs_boxes=True, detect_every=4)])
def test_people_are_followed_as_serving_follows_them(film: Path, settings: Extraction, pose: FakePose) -> None:
    (sighting,) = found([make_labelled(film)], settings, pose)
    frames = list(served_frames(film))
    follower = Follower(pose, max_people=settings.max_people, stopwatch=Stopwatch())
    served = [
        poses
        for start in range(0, len(frames), pose.detect_every)
        for poses in follower.follow(frames[start : start + pose.detect_every])
    ]
    assert [track.track_id for track in sighting.tracks] == [1, 2]
    for track in sighting.tracks:
        assert track.trajectory is not None
        rows = [poses.select(poses.track_ids == track.track_id) for poses in served]
        assert np.array_equal(track.trajectory.keypoints, np.concatenate([row.keypoints for row in rows]))
    assert sighting.size_wh == size_of_video(frames[0]) == (320, 240)
    assert sighting.fps == pytest.approx(15.0)


def test_frames_are_looked_at_as_often_as_in_serving(tmp_path: Path, settings: Extraction) -> None:
    pose = FakePose(walking)
    (fast,) = found([make_labelled(write_film(tmp_path / "30.mp4", fps=30))], settings, pose)
    assert (len(pose.found_s), fast.fps) == (30, pytest.approx(15.0))
    (slow,) = found([make_labelled(write_film(tmp_path / "10.mp4", fps=10))], settings, pose)
    assert slow.fps == pytest.approx(10.0)


def test_what_was_found_is_kept_and_recalled_without_a_look(film: Path, settings: Extraction) -> None:
    pose = FakePose(walking)
    first = found([make_labelled(film)], settings, pose)
    blind = FakePose(lambda _: pytest.fail("looked again"))
    again = found([make_labelled(film.rename(film.with_name("renamed.mp4")))], settings, blind)
    assert_alike(first[0], again[0])


def test_that_nobody_is_there_is_kept_too(film: Path, settings: Extraction) -> None:
    (sighting,) = found([make_labelled(film)], settings, FakePose(lambda _: []))
    assert sighting.tracks == ()
    (sighting,) = found([make_labelled(film)], settings, FakePose(lambda _: pytest.fail("looked again")))
    assert (sighting.tracks, sighting.size_wh) == ((), (320, 240))


@pytest.mark.parametrize(
    "change", [{"pose": "rtmpose-t"}, {"pose_fps": 10.0}, {"max_people": 3}], ids=lambda change: next(iter(change))
)
def test_what_decides_on_the_outcome_is_looked_for_anew(
    film: Path, settings: Extraction, change: dict[str, object]
) -> None:
    pose = FakePose(walking)
    found([make_labelled(film)], settings, pose)
    before = len(pose.found_s)
    found([make_labelled(film)], replace(settings, **change), pose)  # type: ignore[arg-type]
    assert len(pose.found_s) > before


def test_another_file_of_the_same_name_is_looked_at(tmp_path: Path, settings: Extraction) -> None:
    pose = FakePose(walking)
    found([make_labelled(write_film(tmp_path / "film.mp4"))], settings, pose)
    before = len(pose.found_s)
    found([make_labelled(write_film(tmp_path / "film.mp4", shade=90))], settings, pose)
    assert len(pose.found_s) == 2 * before


def test_parts_of_a_file_take_one_pass_and_know_nothing_of_each_other(
    film: Path, settings: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []

    def counted(path: Path) -> object:
        passes.append(path)
        return open_video(path)

    monkeypatch.setattr(sightings, "open_video", counted)
    parts = [make_labelled(film, start_s=0.2, end_s=1.0), make_labelled(film, start_s=0.5, end_s=1.6)]
    both = found(parts, settings, FakePose(walking))
    assert len(passes) == 1
    assert [(track.start_s, track.end_s) for track in both[0].tracks] == [(pytest.approx(0.2), pytest.approx(14 / 15))]
    other = replace(settings, cache=settings.cache / "other" if settings.cache else None)
    assert_alike(both[1], found(parts[1:], other, FakePose(walking))[0])


def test_a_part_behind_the_end_of_a_file_shows_nobody(film: Path, settings: Extraction) -> None:
    (sighting,) = found([make_labelled(film, start_s=60.0)], settings, FakePose(walking))
    assert sighting.tracks == ()


def test_nothing_behind_the_last_part_is_looked_at(film: Path, settings: Extraction) -> None:
    pose = FakePose(walking)
    found([make_labelled(film, end_s=0.5)], settings, pose)
    assert max(time_s for group in pose.found_s for time_s in group) < 0.5


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it cannot be decoded: film.mp4 is empty"),
        (b"Dear reader", "it cannot be decoded: film.mp4 holds text"),
        (None, "it cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_video_says_why(film: Path, settings: Extraction, content: bytes | None, reason: str) -> None:
    film.unlink()
    if content is not None:
        film.write_bytes(content)
    answer = find_people([make_labelled(film)], settings, FakePose(walking))
    assert isinstance(answer, Unreadable)
    assert answer.reason.startswith(reason)


def test_a_truncated_video_says_so(film: Path, settings: Extraction) -> None:
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    answer = find_people([make_labelled(film)], settings, FakePose(walking))
    assert isinstance(answer, Unreadable)
    assert "was cut off before its end" in answer.reason


def test_what_was_kept_badly_is_looked_for_anew(film: Path, settings: Extraction, tmp_path: Path) -> None:
    pose = FakePose(walking)
    first = found([make_labelled(film)], settings, pose)
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    assert recall(kept) is None
    assert_alike(first[0], found([make_labelled(film)], settings, pose)[0])
    assert recall(kept) is not None


def test_nobody_is_kept_as_nobody(tmp_path: Path) -> None:
    keep(tmp_path / "one.npz", Sighting((64, 48), 15.0, ()))
    read = recall(tmp_path / "one.npz")
    assert read is not None
    assert_alike(read, Sighting((64, 48), 15.0, ()))
    assert recall(tmp_path / "two.npz") is None


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [({"jobs": 0}, "jobs: expected 1"), ({"people": 0}, "people: expected 1"), ({"pose_fps": 0.0}, "pose_fps: exp")],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Extraction(**wrong)  # type: ignore[arg-type]


def test_the_layout_is_the_backends() -> None:
    assert Extraction().load_pose().layout is COCO17
