"""What enters itself under a key is found by it, once."""

import sys
from pathlib import Path

import pytest

from pipeline.registry import Registry


@pytest.fixture
def animals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[str, object]:
    """A registry of a package whose one module enters two animals."""
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "__init__.py").write_text(
        "from pipeline.registry import Registry\nkept = Registry('animal', 'zoo')\n"
    )
    (tmp_path / "zoo" / "birds.py").write_text("import zoo\nzoo.kept.add('owl', 1)\nzoo.kept.add('emu', 2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("zoo", "zoo.birds"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import zoo  # type: ignore[import-not-found]

    kept: Registry[str, object] = zoo.kept
    return kept


def test_modules_enter_themselves_when_somebody_asks(animals: Registry[str, object]) -> None:
    assert animals.keys() == ("emu", "owl")
    assert animals["owl"] == 1


def test_an_unknown_key_is_answered_with_the_known_ones(animals: Registry[str, object]) -> None:
    with pytest.raises(ValueError, match="unknown animal 'elk': expected one of emu, owl"):
        animals["elk"]


def test_a_key_is_given_once(animals: Registry[str, object]) -> None:
    animals.keys()
    with pytest.raises(ValueError, match="animal 'owl' is registered already"):
        animals.register("owl")(object())


def test_keys_may_be_spelled_in_messages() -> None:
    pairs: Registry[tuple[str, str], int] = Registry("road", "models", spell="-".join)
    pairs.add(("a", "b"), 1)
    with pytest.raises(ValueError, match="unknown road 'b-a': expected one of a-b"):
        pairs["b", "a"]
