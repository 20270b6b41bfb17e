"""The page for new users, docs/train-your-own.md, followed word by word on real clips: folders in, new labels out."""

import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from footage import cut_film

import marey
from service.app import create_app
from service.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[1] / "docs" / "train-your-own.md"
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
# What the page leaves at its defaults, and a test has no time for.
SHALLOW = json.dumps({"widths": [1, 1], "strides": [1, 2], "mcf_blocks": [1]})
BRIEF = ("--set", "epochs=2", "--set", "windows_per_epoch=256", "--set", f"options={SHALLOW}")
# Real clips, where in them an action begins, s, and how far apart the pieces are.
ACTIONS = {
    "squat": ("web_squat_rohan.mp4", 6.0, 3.0),
    "clean and jerk": ("stgcn_clean_and_jerk.mp4", 0.5, 2.0),
    "other": ("stgcn_tai_chi.mp4", 0.5, 2.0),
}
LABELS = {"squat", "clean_and_jerk"}
NUM_PIECES, PIECE_S = 4, 1.4


@dataclass
class Reader:
    """Somebody who types what the page says, in a folder of their own."""

    said: dict[str, str] = field(default_factory=dict)
    served: Settings | None = None

    def follow(self, line: str, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        words = shlex.split(line)
        while re.fullmatch(r"\w+=.*", words[0]):
            name, _, value = words.pop(0).partition("=")
            patch.setenv(name, value)
        if words[:2] == ["marey", "serve"]:
            self.served = Settings(
                **dict(zip((word.removeprefix("--") for word in words[2::2]), words[3::2], strict=True))
            )
        elif words[0] == "marey":
            self._run(words, patch)
            self.said[" ".join(words[1:3])] = capsys.readouterr().out
        else:
            assert words[0] == "curl"  # asked below, of the service that has been started
        for name in [name for name in os.environ if name.startswith("MAREY_")]:
            patch.delenv(name)

    def _run(self, words: list[str], patch: pytest.MonkeyPatch) -> None:
        patch.setattr(sys, "argv", [*words, *(BRIEF if words[1] == "train" else ())])
        with pytest.raises(SystemExit) as ended:
            marey.main()
        assert not ended.value.code, " ".join(words)


def commands() -> list[str]:
    return [line for block in SHELL.findall(PAGE.read_text(encoding="utf-8")) for line in block.splitlines()]


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Begin in an empty folder, with settings of nobody."""
    for name in [name for name in os.environ if name.startswith("MAREY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return monkeypatch


def put_clips(videos: Path, folder: Path) -> None:
    for label, (name, start_s, step_s) in ACTIONS.items():
        for number in range(NUM_PIECES):
            begin_s = start_s + number * step_s
            cut_film(videos / name, folder / label / f"{number}.mp4", start_s=begin_s, end_s=begin_s + PIECE_S)


async def ask(settings: Settings, content: bytes) -> Any:
    """Start the service, upload a clip as the page's curl does, and return the answer, however unsure it is."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{settings.port}") as client:
            upload, options = {"file": ("clip.mp4", content)}, {"threshold": 0, "top_k": len(LABELS)}
            reply = await client.post("/v1/recognize", files=upload, params=options, timeout=120)
            return reply.raise_for_status().json()


def test_a_folder_of_clips_becomes_a_service_that_answers_with_its_labels(
    shared: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_clips(shared / "videos", Path("my-clips"))
    cut_film(shared / "videos" / "web_squat_rohan.mp4", Path("clip.mp4"), start_s=8.0, end_s=11.0)
    reader = Reader()
    for line in commands():
        reader.follow(line, patch, capsys)

    assert f"{NUM_PIECES * len(ACTIONS)} sequences" in reader.said["data convert"]
    assert Path("preview/sheet-1.png").exists()
    assert "own_top1 " in reader.said["evaluate runs/own"]
    assert reader.served is not None
    answer = asyncio.run(ask(reader.served, Path("clip.mp4").read_bytes()))
    assert answer["model"]["name"] == "mine"
    segments = [segment for track in answer["tracks"] for segment in track["segments"]]
    assert segments
    assert all({one["label"] for one in segment["top_k"]} == LABELS for segment in segments)
