"""The command itself, run as ``marey`` would be, on small generated videos and a fake engine."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

import marey
import terminal
from pipeline import errors
from pipeline.layouts import COCO17
from pipeline.values import LabelScore, Recognition, Segment, Track, Trajectory
from pipeline.video import Video

Run = Callable[..., SimpleNamespace]


@dataclass
class FakeEngine:
    """Decodes for real, and sees one person wave in every video."""

    pose: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(layout=COCO17))
    recogniser: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            card=SimpleNamespace(name="everyday", version="1"), bundle=SimpleNamespace(sha256="0" * 64), provider="cpu"
        )
    )

    def recognise(
        self, video: Video, options: object, *, on_progress: Callable[[float], None] | None = None
    ) -> Recognition:
        num_frames = sum(1 for _ in video.frames())
        if on_progress is not None:
            on_progress(1.0)
        wave = Segment("wave", 3, 0.91, 0.5, 1.5, (LabelScore("wave", 0.91),), (1.0,), ("left_wrist",))
        seen = Trajectory(
            np.zeros(1), np.zeros((1, 17, 2), np.float32), np.ones((1, 17), np.float32), np.zeros((1, 4), np.float32)
        )
        return Recognition(
            video.info, (Track(1, 0.0, 2.0, (wave,), seen),), {"total": float(num_frames)}, ("a remark",)
        )


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process; returns its exit code, standard output and standard error."""
    monkeypatch.setattr(marey, "_load_engine", lambda settings: FakeEngine())
    for name in [name for name in os.environ if name.startswith("MAREY_")]:
        monkeypatch.delenv(name)

    def run_command(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["marey", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            marey.main()
        captured = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code or 0, out=captured.out, err=captured.err)

    return run_command


def write_video(path: Path, *, num_frames: int = 20, fps: int = 10) -> Path:
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(num_frames):
            image = np.full((48, 64, 3), 10 * index % 256, np.uint8)
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        writer.mux(stream.encode())
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4")


@pytest.fixture
def not_a_video(tmp_path: Path) -> Path:
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader, this is no video.")
    return path


def test_a_recognised_file_is_shown_as_a_table(run: Run, clip: Path) -> None:
    said = run("recognize", clip)
    assert said.code == 0
    assert "20 frames at 10/s, 64 x 48" in said.out
    assert re.search(r"1\s+wave\s+0\.5 s\s+1\.5 s\s+0\.91\s+left wrist", said.out)
    assert "a remark" in said.err
    assert "a remark" not in said.out


def test_json_is_one_object_a_file_in_a_list(run: Run, clip: Path, tmp_path: Path) -> None:
    second = write_video(tmp_path / "second.mp4", num_frames=10)
    answers = json.loads(run("recognize", clip, second, "--json").out)
    assert [answer["file"] for answer in answers] == [str(clip), str(second)]
    assert [answer["video"]["frames"] for answer in answers] == [20, 10]
    assert answers[0]["tracks"][0]["segments"][0]["label"] == "wave"
    assert "request_id" not in answers[0]


@pytest.mark.parametrize(
    ("flags", "given"), [((), False), (("--keypoints",), True)], ids=["not asked for", "asked for"]
)
def test_keypoints_are_listed_when_asked_for(run: Run, clip: Path, flags: Sequence[str], given: bool) -> None:
    answer = json.loads(run("recognize", clip, "--json", *flags).out)[0]
    assert (answer["tracks"][0]["keypoints"] is not None) is given


def test_a_file_that_is_no_video_has_an_exit_code_of_its_own(run: Run, not_a_video: Path) -> None:
    said = run("recognize", not_a_video)
    assert said.code == marey.Exit.NOT_A_VIDEO
    assert str(not_a_video) in said.err
    assert "Traceback" not in said.err


def test_a_video_past_a_limit_has_an_exit_code_of_its_own(run: Run, clip: Path) -> None:
    assert run("recognize", clip, "--max-seconds", "0.5").code == marey.Exit.LIMIT


def test_one_bad_file_does_not_stop_the_others(run: Run, clip: Path, not_a_video: Path) -> None:
    said = run("recognize", not_a_video, clip, "--json")
    bad, good = json.loads(said.out)
    assert said.code == marey.Exit.SOME_FAILED
    assert bad["error"]["kind"] == "NotAVideo"
    assert good["tracks"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("recognize",),
        ("recognize", "there/is/no/such.mp4"),
        ("recognize", "CLIP", "--top-k", "0"),
        ("recognize", "CLIP", "CLIP", "--annotate", "out.mp4"),
        ("serve", "--host", "0.0.0.0"),
        ("bench", "length", "CLIP", "--loops", "1,x"),
        ("models", "pull", "no-such-profile"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(run: Run, clip: Path, arguments: Sequence[str]) -> None:
    said = run(*[clip if argument == "CLIP" else argument for argument in arguments])
    assert said.code == marey.Exit.USAGE
    assert "Traceback" not in said.err


def test_a_setting_from_the_environment_is_used(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAREY_MAX_SECONDS", "0.5")
    assert run("recognize", clip).code == marey.Exit.LIMIT


def test_a_flag_wins_over_the_environment(run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAREY_MAX_SECONDS", "0.5")
    assert run("recognize", clip, "--max-seconds", "60").code == 0


def test_an_unknown_model_is_exit_code_5(run: Run) -> None:
    assert run("models", "show", "no-such-model").code == marey.Exit.MODEL


def every_error() -> list[type[errors.MareyError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MareyError)]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_has_an_exit_code(kind: type[errors.MareyError]) -> None:
    error = kind.__new__(kind)
    assert marey.exit_code(error) not in (marey.Exit.OK, marey.Exit.USAGE, marey.Exit.BROKEN)


def test_the_version_is_the_distributions(run: Run) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", run("--version").out)


def test_a_measurement_that_fails_says_why_and_ends_with_its_exit_code(run: Run, clip: Path) -> None:
    said = run("bench", "length", clip, "--model", "no-such-model", "--loops", "1")
    assert said.code == marey.Exit.MODEL
    assert said.out == ""


@pytest.mark.parametrize("command", marey.TRAINING)
def test_training_says_what_to_install_where_torch_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(marey, "find_spec", lambda name: None)
    for module in marey.TRAINING_MODULES.values():
        monkeypatch.setitem(sys.modules, module, None)
    said = run(*command.split())
    assert said.code == marey.Exit.MODEL
    assert "pip install 'marey[train]'" in said.err


def test_what_else_cannot_be_imported_is_not_taken_for_a_missing_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marey, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, marey.TRAINING_MODULES[""], None)
    with pytest.raises(ModuleNotFoundError, match=r"training\.commands"):
        marey.app(["train"], prog_name="marey", standalone_mode=False)


def test_the_doctor_reports_settings_that_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAREY_HOST", "0.0.0.0")
    said = run("doctor", "--json")
    findings = {finding["subject"]: finding for finding in json.loads(said.out)}
    assert said.code == marey.Exit.BROKEN
    assert not findings["settings"]["ok"]
    assert findings["Python"]["ok"]


def test_the_command_imports_nothing_heavy() -> None:
    heavy = {"numpy", "av", "cv2", "onnxruntime", "torch", "fastapi", "pydantic", "uvicorn", "scipy"}
    probe = "import marey, sys; sys.stdout.write(' '.join(sys.modules))"
    imported = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert not heavy & set(imported.split())


def test_a_display_is_needed_to_open_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not terminal.has_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    assert terminal.has_display()
