"""What importers share: renaming keys by rules, and saying one by one which of them do not fit."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from pipeline.errors import DataError

# A counter that only matters to batch norm without momentum, which nobody uses; some checkpoints lack it.
COUNTER = "num_batches_tracked"


def rename(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Return the tensors under new names: for each key the first rule (pattern, replacement) that matches it whole.

    Batch norm's counters are left out, and so is a key whose replacement is empty.

    Raises:
        DataError: a key has no rule, or two keys come out alike.
    """
    renamed: dict[str, Tensor] = {}
    faults = []
    for key, value in state.items():
        matched = ((re.fullmatch(pattern, key), replacement) for pattern, replacement in rules)
        name = next((match.expand(replacement) for match, replacement in matched if match), None)
        if key.endswith(COUNTER) or name == "":
            continue
        if name is None or name in renamed:
            faults.append(f"unexpected {key} {shape_of(value)}")
        else:
            renamed[name] = value
    refuse(faults)
    return renamed


def misfits(state: Mapping[str, Tensor], model: nn.Module) -> list[str]:
    """Return, a line each, what a model lacks, does not know, or has in another shape."""
    own = {key: value for key, value in model.state_dict().items() if not key.endswith(COUNTER)}
    return [
        *(f"missing {key} {shape_of(own[key])}" for key in own if key not in state),
        *(f"unexpected {key} {shape_of(state[key])}" for key in state if key not in own),
        *(
            f"{key}: expected {shape_of(own[key])}, got {shape_of(state[key])}"
            for key in own
            if key in state and own[key].shape != state[key].shape
        ),
    ]


def load(state: Mapping[str, Tensor], model: nn.Module) -> None:
    """Put converted weights into a model.

    Raises:
        DataError: they do not fit; the message names every key.
    """
    refuse(misfits(state, model))
    model.load_state_dict(state, strict=False)  # strict would miss the counters


def refuse(faults: Sequence[str]) -> None:
    """Raise ``DataError`` if there are any."""
    if faults:
        raise DataError(f"the checkpoint does not fit, {len(faults)} of its keys:\n" + "\n".join(faults))


def shape_of(value: Tensor) -> str:
    """Write a tensor's shape as [2, 3]."""
    return str(list(value.shape))
