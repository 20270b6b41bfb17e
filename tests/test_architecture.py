"""What the project promises about its own shape, checked on the files themselves."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipeline", "models", "training", "service")
# Test files about a whole package: what every backend, every recogniser, every data set must do.
ABOUT_PACKAGES = {
    "backends",
    "recognisers",
    "bundles",
    "recipes",
    "concurrency",
    "equations",
    "parity",
    "skew",
    "golden",
    "api_page",
    "end_to_end",
}
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yml", ".yaml", ".html", ".js", ".css", ".cfg", ".txt", ""}
# Places on the machine of whoever wrote it, and hosts that an installation is not to depend on.
UNWANTED = [
    r"(?<![\w.])/(?:work|home/\w+|Users/\w+)/",
    r"(?:pypi|pythonhosted|files\.pythonhosted|npmjs|download\.pytorch)\.(?:org|com)",
    r"extra-index-url|index-url|find-links",
    r"\bTODO\b|\bFIXME\b|\bXXX\b",
]


def modules_of(packages: tuple[str, ...] = PACKAGES) -> list[Path]:
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return sorted([*files, ROOT / "marey.py", ROOT / "terminal.py"])


def own_files() -> list[Path]:
    """Return every text file that belongs to the project: what git tracks, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("needs a git checkout: this would have looked for machine paths and registries in every file")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    return [file for file in files if file.is_file() and file.suffix in TEXT_SUFFIXES and file.name != "LICENSE"]


def functions_in(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_everybody_imports_only_whom_they_may() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_service_loads_no_torch() -> None:
    probe = "import service.app, sys; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"torch", "models", "training", "matplotlib", "lightning_fabric"} & set(loaded.split())


@pytest.mark.parametrize("module", modules_of(), ids=name_of)
def test_a_file_can_be_read_in_one_sitting(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    assert source.count("\n") <= MAX_FILE_LINES
    lengths = {f.name: (f.end_lineno or f.lineno) - f.lineno + 1 for f in functions_in(ast.parse(source))}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


@pytest.mark.parametrize("module", modules_of(), ids=name_of)
def test_a_file_says_what_it_is_and_prints_nothing(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert [call.lineno for call in calls if call.func.id == "print"] == []  # type: ignore[attr-defined]  # filtered above


@pytest.mark.parametrize("module", modules_of(("pipeline",)), ids=name_of)
def test_a_file_is_written_in_ascii(module: Path) -> None:
    assert module.read_text(encoding="utf-8").isascii()


def test_no_file_is_a_drawer_for_odds_and_ends() -> None:
    names = {module.stem for module in modules_of()}
    assert not names & {"utils", "util", "helpers", "helper", "misc", "common"}


def test_onnxruntime_has_one_importer() -> None:
    importers = {
        name_of(module)
        for module in modules_of(("pipeline", "service"))
        if re.search(r"^\s*(?:import|from) onnxruntime", module.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert importers == {"pipeline/onnx.py"}


def test_tests_mirror_the_tree() -> None:
    strays = []
    for test in sorted((ROOT / "tests").rglob("test_*.py")):
        folder = test.relative_to(ROOT / "tests").parent
        # A second file for the same module has the module's name and a word after it.
        subjects = {path.stem for path in (ROOT / folder).iterdir()}
        words = test.stem.split("_")[1:]
        names = {"_".join(words[:length]) for length in range(1, len(words) + 1)}
        if folder.parts and not names & (subjects | ABOUT_PACKAGES):
            strays.append(name_of(test))
    assert strays == []


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize("unwanted", UNWANTED)
def test_no_file_knows_the_machine_that_it_was_written_on(unwanted: str) -> None:
    here = Path(__file__).resolve()
    found = [
        f"{name_of(file)}:{number}"
        for file in own_files()
        if file.resolve() != here
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if re.search(unwanted, line)
    ]
    assert found == []
