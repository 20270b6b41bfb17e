"""What importers into ``models.layers`` share: rules for what is around the blocks' layers, and joined tensors.

Some of our tensors are several of theirs. A rule marks those with a place after an "@": "norm.weight@0" and
"norm.weight@1" are joined to "norm.weight" along the first axis, in the order of the marks.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from models.graph import PARTITIONS
from training.importers.keys import refuse, shape_of

Rules = Sequence[tuple[str, str]]

NORM = "(weight|bias|running_mean|running_var|num_batches_tracked)"
AFFINE = "(weight|bias)"
MMACTION2_HEAD = (rf"cls_head\.fc\.{AFFINE}", r"classify.\1")
PYSKL_HEAD = (rf"cls_head\.fc_cls\.{AFFINE}", r"classify.\1")


def frame_rules(unit: str, *, norm: str) -> Rules:
    """Return rules for the input norm and the ways around; ``unit`` matches a block's prefix with its number."""
    return (
        (rf"{norm}\.{NORM}", r"norm.norm.\1"),
        (rf"{unit}\.residual\.conv\.{AFFINE}", r"blocks.\1.around.0.\2"),
        (rf"{unit}\.residual\.bn\.{NORM}", r"blocks.\1.around.1.\2"),
    )


def join_parts(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join what rules have marked, and put all in the backbone of the first stream.

    Raises:
        DataError: parts that cannot be joined, for they differ in more than their lengths.
    """
    parts: dict[str, list[Tensor]] = {}
    for key in sorted(state):
        parts.setdefault(key.partition("@")[0], []).append(state[key])
    refuse(
        [
            f"{name}: cannot join {', '.join(map(shape_of, tensors))}"
            for name, tensors in parts.items()
            if len({tensor.shape[1:] for tensor in tensors}) > 1
        ]
    )
    return {
        f"backbones.0.{name}": tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        for name, tensors in parts.items()
    }


def subsets_in_columns(weight: Tensor) -> Tensor:
    """Turn [P*C2, C, 1, 1], a row of blocks a subset, into [C2, P*C, 1, 1], as for gathering first.

    A weight that is no multiple of the subsets stays as it is, and will be found not to fit.
    """
    if weight.shape[0] % len(PARTITIONS):
        return weight
    return torch.cat(weight.chunk(len(PARTITIONS)), dim=1)
