"""The documents against the project: commands, links, settings and exit codes that they name must be real."""

import inspect
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

import marey
from pipeline.layouts import LAYOUTS
from service.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`((?:marey|make) [^`]+)`")
SHELLS = ("sh", "bash", "shell", "console")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(page: Path) -> Iterator[list[str]]:
    """Yield the words of every `marey` and `make` command, in blocks of shell and in running text."""
    text = page.read_text(encoding="utf-8")
    blocks = [block for language, block in FENCE.findall(text) if language in SHELLS]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    for line in [*lines, *INLINE.findall(FENCE.sub("", text))]:
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words.pop(0)
        if words and Path(words[0]).name in ("marey", "make"):
            yield [Path(words[0]).name, *words[1:]]


def every_command() -> list[Any]:
    return [
        pytest.param(words, id=f"{name_of(page)}: {' '.join(words)}") for page in PAGES for words in commands_in(page)
    ]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def resolve(words: list[str]) -> tuple[Any, list[str]]:
    """Walk down the command tree; return the command that the words name, and the words left over."""
    command: Any = typer.main.get_command(marey.app)
    names: list[str] = []
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, f"marey has no command {words[0]!r}"
        if inspect.unwrap(command.commands[words[0]].callback) is marey._forward:
            return forwarded_command(*names, words[0]), words[1:]
        names, command, words = [*names, words[0]], command.commands[words[0]], words[1:]
    return command, words


def forwarded_command(*names: str) -> Any:
    module = marey.module_of(" ".join(names))
    commands = pytest.importorskip(module, reason="needs the training extra: this would have checked its options")
    tree: Any = typer.main.get_command(commands.app)
    return tree.commands[names[-1]]


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("words", every_command())
def test_a_command_in_the_documents_exists(words: list[str]) -> None:
    if words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= make_targets()
        return
    command, rest = resolve(words[1:])
    given = {word.split("=")[0] for word in rest if word.startswith("-")}
    assert given <= options_of(command)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_of_the_project_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`((?:pipeline|models|training|service|tests|docs|docker)/[\w./]*)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def settings_table() -> Mapping[str, str]:
    lines = [line for line in (ROOT / "docs" / "deploy.md").read_text().splitlines() if line.startswith("| `MAREY_")]
    cells = [[cell.strip("` ") for cell in line.split("|")] for line in lines]
    return {variable: default for _, variable, default, *_ in cells}


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    expected = {
        f"{ENV_PREFIX}{name.upper()}": "" if default in (None, ()) else str(default)
        for name, default in defaults.items()
    }
    assert settings_table() == expected


def test_every_exit_code_is_documented() -> None:
    rows = re.findall(r"^\| (\d) \| `(\w+)` \|", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE)
    assert rows == [(str(int(code)), code.name) for code in marey.Exit]


def test_every_command_is_documented() -> None:
    tree: Any = typer.main.get_command(marey.app)
    documented = {tuple(words[1:3]) for words in commands_in(ROOT / "docs" / "cli.md") if words[0] == "marey"}
    for name, command in tree.commands.items():
        if hasattr(command, "commands"):
            assert {(name, below) for below in command.commands} <= documented
        else:
            assert any(words[:1] == (name,) for words in documented), name


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(LINK.findall((ROOT / "README.md").read_text()))
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


def test_the_skeleton_set_of_the_documents_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skeleton_set = pytest.importorskip("training.datasets.skeleton_set")
    blocks = FENCE.findall((ROOT / "docs" / "skeleton-sets.md").read_text())
    (example,) = [block for language, block in blocks if language == "python"]
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "skeleton-sets.md", "exec"), {})
    read = skeleton_set.read_converted(tmp_path / "my_actions.npz", LAYOUTS["coco17"])
    assert (len(read), read.classes, read.train.tolist()) == (2, ("wave", "jump"), [True, False])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_lines_that_fit(page: Path) -> None:
    blocks_removed = FENCE.sub("", page.read_text(encoding="utf-8"))
    long = [line for line in blocks_removed.splitlines() if len(line) > 130 and not line.startswith(("|", "<!--", "["))]
    assert long == []
