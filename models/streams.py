"""What a stream of a recogniser sees: joints, bones, and the motion of either, made from one clip inside the module.

A bone is a joint minus its parent, zero at the centre; motion is the next frame minus this one, zero at the last. Whose
bones they are, and what becomes of the scores, is a convention: weights go with the one they were trained with.

- "layout": the layout's own bones, which its graph has too. Scores are not coordinates and stay as they are.
- "mmaction2": as MMAction2 and PYSKL. A bone's score is the mean of its joints', and that of motion the mean of both
  frames', zero at the last. In coco17 the hips hang from the nose, and in ntu25 the fingertips from the thumbs.
- "2s-agcn": as 2s-AGCN and MS-G3D. The same bones, but scores are subtracted like coordinates.

MMAction2 and PYSKL take the motion of neighbouring frames of the video and sample frames afterwards; here it is that of
neighbouring frames of the window, which is the same where a window has as many frames as the video. PYSKL subtracts the
scores of hands in motion, which no other layout's are; here they are averaged like those.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from pipeline.layouts import LAYOUTS, Layout

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")

CONVENTIONS = ("layout", "mmaction2", "2s-agcn")

# Where the bones of a convention are not the layout's own: child and parent, itself for the centre.
_OF_OPENPOSE18 = {"nose": "nose", "neck": "nose"}
_OF_NTU25 = {"left_handtip": "left_thumb", "right_handtip": "right_thumb"}
OTHER_BONES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "mmaction2": {
        "coco17": {"left_hip": "nose", "right_hip": "nose"},
        "openpose18": _OF_OPENPOSE18,
        "ntu25": _OF_NTU25,
        "hand21": {},
    },
    "2s-agcn": {"openpose18": _OF_OPENPOSE18, "ntu25": _OF_NTU25},
}


def check_convention(convention: str) -> None:
    """Raise ``ValueError`` for a convention that is unknown."""
    if convention not in CONVENTIONS:
        raise ValueError(f"convention {convention!r}: expected one of {', '.join(CONVENTIONS)}")


def layouts_of(convention: str) -> tuple[str, ...]:
    """Return the names of the layouts whose bones a convention knows."""
    return tuple(OTHER_BONES.get(convention, LAYOUTS))


def parents_of(layout: Layout, convention: str = "layout") -> tuple[int, ...]:
    """Return, for each joint, the one at the other end of its bone; the centre is its own.

    Raises:
        ValueError: the convention does not know the layout's bones.
    """
    if convention == "layout":
        return layout.parents
    if layout.name not in layouts_of(convention):
        known = ", ".join(layouts_of(convention))
        raise ValueError(f"convention {convention!r}: expected a layout out of {known}, got {layout.name!r}")
    other = OTHER_BONES[convention][layout.name]
    return tuple(
        layout.index(other[joint]) if joint in other else parent
        for joint, parent in zip(layout.joints, layout.parents, strict=True)
    )


def bones(joints: Float[Tensor, "N T M V D"], parents: Int64[Tensor, " V"]) -> Float[Tensor, "N T M V D"]:
    """Return each joint minus its parent; the centre, its own parent, gives zero."""
    return joints - joints.index_select(3, parents)


def motion(values: Float[Tensor, "N T M V D"]) -> Float[Tensor, "N T M V D"]:
    """Return the next frame minus this one, zero at the last."""
    return _until_last(values[:, 1:] - values[:, :-1])


def stream_of(
    x: Float[Tensor, "N T M V C"],
    name: str,
    *,
    parents: Int64[Tensor, " V"],
    num_coordinates: int,
    convention: str = "layout",
) -> Float[Tensor, "N T M V C"]:
    """Return one stream of a clip whose first ``num_coordinates`` channels are coordinates, the rest scores."""
    if convention == "2s-agcn":
        num_coordinates = x.shape[4]
    values, scores = x[..., :num_coordinates], x[..., num_coordinates:]
    if name.startswith("bone"):
        values = bones(values, parents)
        if convention == "mmaction2":
            scores = (scores + scores.index_select(3, parents)) / 2
    if name.endswith("motion"):
        values = motion(values)
        if convention == "mmaction2":
            scores = _until_last((scores[:, :-1] + scores[:, 1:]) / 2)
    return torch.cat([values, scores], dim=-1)


def _until_last(values: Tensor) -> Tensor:
    """Append a frame of zeros."""
    return F.pad(values, (0, 0, 0, 0, 0, 0, 0, 1))


def check_streams(names: Sequence[str]) -> None:
    """Raise ``ValueError`` unless there is at least one stream and every one is known."""
    if not names or not set(names) <= set(STREAMS):
        raise ValueError(f"streams {tuple(names)}: expected one or more of {', '.join(STREAMS)}")
