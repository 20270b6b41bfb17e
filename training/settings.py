"""Settings as the command line spells them."""

import json
from collections.abc import Sequence
from typing import Any


def parse_settings(texts: Sequence[str]) -> dict[str, object]:
    """Read SETTING=JSON, where a dot leads into a setting that has settings: features.num_frames=64."""
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not all(part.isidentifier() for part in name.split(".")):
            raise ValueError(f"--set {text}: expected SETTING=JSON, such as epochs=6 or features.num_frames=64")
        *outer, last = name.split(".")
        place = changes
        for part in outer:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ValueError(f"--set {text}: {part} was set to {place!r} as a whole before; set it or parts of it")
        try:
            place[last] = json.loads(value)
        except ValueError:
            place[last] = value
    return changes
