"""What a stream of a recogniser sees: joints, bones, and the motion of either, made from one clip inside the module.

The conventions are those of MMAction2 and PYSKL: a bone is a joint minus its parent, zero at the centre; motion is the
next frame minus this one, zero at the last. Scores are not coordinates and stay as they are.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional as F

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")


def bones(joints: Float32[Tensor, "N T M V D"], parents: Int64[Tensor, " V"]) -> Float32[Tensor, "N T M V D"]:
    """Return each joint minus its parent; the centre, its own parent, gives zero."""
    return joints - joints.index_select(3, parents)


def motion(values: Float32[Tensor, "N T M V D"]) -> Float32[Tensor, "N T M V D"]:
    """Return the next frame minus this one, zero at the last."""
    return F.pad(values[:, 1:] - values[:, :-1], (0, 0, 0, 0, 0, 0, 0, 1))


def stream_of(
    x: Float32[Tensor, "N T M V C"], name: str, *, parents: Int64[Tensor, " V"], num_coordinates: int
) -> Float32[Tensor, "N T M V C"]:
    """Return one stream of a clip whose first ``num_coordinates`` channels are coordinates, the rest scores."""
    values = x[..., :num_coordinates]
    if name.startswith("bone"):
        values = bones(values, parents)
    if name.endswith("motion"):
        values = motion(values)
    return torch.cat([values, x[..., num_coordinates:]], dim=-1)


def check_streams(names: Sequence[str]) -> None:
    """Raise ``ValueError`` unless there is at least one stream and every one is known."""
    if not names or not set(names) <= set(STREAMS):
        raise ValueError(f"streams {tuple(names)}: expected one or more of {', '.join(STREAMS)}")
