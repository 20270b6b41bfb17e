"""Every equation that a recogniser's file cites by its number is cited in a test of that file."""

import re
from pathlib import Path

import pytest

import models

FOLDER = Path(models.__path__[0])
TESTS = Path(__file__).parent
CITATION = re.compile(r"\b(?:[Ee]qs?\.|[Ee]quations?) (\(\d+\)(?:(?:, |-| to | and |, and )\(\d+\))*)")
CITING = sorted(path.stem for path in FOLDER.glob("*.py") if CITATION.search(path.read_text()))


def cited(text: str) -> set[int]:
    """Collect the numbers in "eq. (2)", "eqs. (4) and (7)" and "eqs. (3) to (8)"."""
    numbers: set[int] = set()
    for citation in CITATION.findall(" ".join(text.split())):
        for first, last in re.findall(r"\((\d+)\)(?:(?:-| to )\((\d+)\))?", citation):
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def test_numbers_are_found_one_by_one_in_lists_and_in_ranges() -> None:
    assert cited(
        "Eq. (2), then eqs. (4), (6) and (9); see\neqs. (11) to\n(13) and eqs. (20)-(21), or equation (30)"
    ) == {*(2, 4, 6, 9, 11, 12, 13, 20, 21, 30)}


@pytest.mark.parametrize("module", CITING)
def test_every_equation_that_is_cited_is_tested(module: str) -> None:
    tests = [TESTS / f"test_{module}.py", *TESTS.glob(f"test_{module}_*.py")]
    tested = set().union(*(cited(path.read_text()) for path in tests))
    assert cited((FOLDER / f"{module}.py").read_text()) - tested == set()
