"""Names of actions, as people write them in files and folders, in the one spelling that cards and answers have."""

import json
import re
from pathlib import Path

from pipeline.errors import DataError


def snake_case(label: str) -> str:
    """Spell a name in snake_case; the answer is empty where it has no letter or digit.

    >>> snake_case("Sit/stand up"), snake_case("ApplyEyeMakeup")
    ('sit_stand_up', 'apply_eye_makeup')
    """
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", label)
    return re.sub(r"[\W_]+", "_", apart.lower()).strip("_")


def read_labels(path: Path) -> tuple[str, ...]:
    """Read one label a line, or a JSON list, and spell them in snake_case.

    Raises:
        DataError: there are none, or two are alike.
    """
    text = path.read_text(encoding="utf-8")
    try:
        lines = json.loads(text) if text.lstrip().startswith("[") else text.splitlines()
    except ValueError as error:
        raise DataError(f"{path}: expected a JSON list of labels, but reading it failed: {error}") from error
    labels = tuple(label for label in (snake_case(str(line)) for line in lines) if label)
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if not labels or twice:
        got = f"{', '.join(twice)} more than once" if twice else "no label"
        raise DataError(f"{path}: expected distinct labels, one a line, got {got}")
    return labels
