"""Skeleton layouts: which joints there are, how they hang together, and how to get from one layout to another.

Joint names are the project's own and the same in every layout, so layouts map onto each other by name; left and right
are the person's. Bones run from child to parent, towards the centre joint.

Sources: COCO 2017 keypoints, OpenPose's 18, Kinect v1 (20) and v2 (25, as NTU RGB+D numbers them), Penn Action (13),
and a hand as MediaPipe numbers it (21). Bone lists follow ST-GCN, CTR-GCN and PYSKL, so that adjacency agrees with
theirs.

A hand has no side, for its joints say not whose it is: it shares no joint with a body, and its mirror is itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

F32 = NDArray[np.float32]

FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
TRUNK = ("left_shoulder", "left_hip", "right_shoulder", "right_hip")
# Each finger's joints, from the palm outwards.
FINGERS: Mapping[str, tuple[str, ...]] = {
    "thumb": ("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    **{
        finger: tuple(f"{finger}_{joint}" for joint in ("mcp", "pip", "dip", "tip"))
        for finger in ("index", "middle", "ring", "pinky")
    },
}

# A joint that a layout lacks is the mean of these. ``any``: of those that were seen; ``all``: only if every one was.
SUBSTITUTES: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "head": (("any", FACE),),
    "nose": (("any", ("head",)),),
    **dict.fromkeys(FACE[1:], (("any", ("nose",)), ("any", ("head",)))),
    "neck": (("all", ("spine_shoulder",)), ("all", ("left_shoulder", "right_shoulder"))),
    "spine_shoulder": (("all", ("neck",)), ("all", ("left_shoulder", "right_shoulder"))),
    "pelvis": (("all", ("left_hip", "right_hip")),),
    "spine": (("all", ("left_shoulder", "right_shoulder", "left_hip", "right_hip")),),
    **{f"{side}_wrist": (("any", (f"{side}_hand",)),) for side in ("left", "right")},
    **{
        f"{side}_{tip}": (("any", (f"{side}_wrist",)),)
        for side in ("left", "right")
        for tip in ("hand", "handtip", "thumb")
    },
    **{f"{side}_ankle": (("any", (f"{side}_foot",)),) for side in ("left", "right")},
    **{f"{side}_foot": (("any", (f"{side}_ankle",)),) for side in ("left", "right")},
}

# Body parts in two grains (STF-Net's fine and coarse parts; the coarse ones are AMANet's five), and those of a hand.
FINE_PARTS: Mapping[str, tuple[str, ...]] = {
    "head": ("head", *FACE),
    "trunk": ("neck", "spine_shoulder", "spine", "pelvis"),
    **{f"{side}_upper_arm": (f"{side}_shoulder", f"{side}_elbow") for side in ("left", "right")},
    **{
        f"{side}_forearm": (f"{side}_wrist", f"{side}_hand", f"{side}_handtip", f"{side}_thumb")
        for side in ("left", "right")
    },
    **{f"{side}_thigh": (f"{side}_hip", f"{side}_knee") for side in ("left", "right")},
    **{f"{side}_shank": (f"{side}_ankle", f"{side}_foot") for side in ("left", "right")},
    "palm": ("wrist",),
    **{f"lower_{finger}": joints[:2] for finger, joints in FINGERS.items()},
    **{f"upper_{finger}": joints[2:] for finger, joints in FINGERS.items()},
}
COARSE_PARTS: Mapping[str, tuple[str, ...]] = {
    "trunk": FINE_PARTS["head"] + FINE_PARTS["trunk"],
    **{f"{side}_arm": FINE_PARTS[f"{side}_upper_arm"] + FINE_PARTS[f"{side}_forearm"] for side in ("left", "right")},
    **{f"{side}_leg": FINE_PARTS[f"{side}_thigh"] + FINE_PARTS[f"{side}_shank"] for side in ("left", "right")},
    "palm": FINE_PARTS["palm"],
    **FINGERS,
}


@dataclass(frozen=True, eq=False)
class Layout:
    """A named set of joints with its bones (child, parent) and centre joint.

    >>> LAYOUTS["coco17"].index("left_wrist")
    9
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[str, str], ...]
    centre: str

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Return the place of a joint in the layout; ``ValueError`` for a joint it has not."""
        return self.joints.index(joint)

    @cached_property
    def parents(self) -> tuple[int, ...]:
        """The parent's index for each joint; the centre is its own parent."""
        parent = {child: self.index(above) for child, above in self.bones}
        return tuple(parent.get(joint, place) for place, joint in enumerate(self.joints))

    @cached_property
    def bone_indices(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) as indices."""
        return tuple((self.index(child), self.index(parent)) for child, parent in self.bones)

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint the index of its counterpart on the other side: the order of joints in a mirror."""
        swap = {"left": "right", "right": "left"}
        names = ["_".join([swap.get(word, word) for word in joint.split("_")]) for joint in self.joints]
        return tuple(self.index(name) for name in names)

    @cached_property
    def trunk(self) -> tuple[int, ...]:
        """The corners of the trunk; a hand has none."""
        return tuple(self.index(joint) for joint in TRUNK if joint in self.joints)

    @cached_property
    def fine_parts(self) -> tuple[tuple[int, ...], ...]:
        """Joint indices of each fine part that has joints here."""
        return self._grouped(FINE_PARTS)

    @cached_property
    def coarse_parts(self) -> tuple[tuple[int, ...], ...]:
        """Joint indices of trunk with head, two arms and two legs; of a hand, of palm and fingers."""
        return self._grouped(COARSE_PARTS)

    def _grouped(self, parts: Mapping[str, tuple[str, ...]]) -> tuple[tuple[int, ...], ...]:
        groups = (tuple(place for place, joint in enumerate(self.joints) if joint in part) for part in parts.values())
        return tuple(group for group in groups if group)


def _sided(*joints: str, sides: tuple[str, str] = ("left", "right")) -> tuple[str, ...]:
    """Name each joint for both sides, side by side."""
    return tuple(f"{side}_{joint}" for joint in joints for side in sides)


def _limb(side: str, *joints: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in joints)


def _chains(*chains: str) -> tuple[tuple[str, str], ...]:
    """Read bones from chains "child parent grandparent", where ``*_`` stands for both sides."""
    spelled = [chain.replace("*", side) for chain in chains for side in (("left", "right") if "*" in chain else ("",))]
    return tuple(
        (child, parent) for chain in spelled for child, parent in zip(chain.split(), chain.split()[1:], strict=False)
    )


_LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")

COCO17 = Layout(
    "coco17",
    (*FACE, *_sided(*_LIMBS)),
    _chains("*_ankle *_knee *_hip *_shoulder nose", "*_wrist *_elbow *_shoulder", "*_ear *_eye nose"),
    "nose",
)
PENN13 = Layout(
    "penn13",
    ("head", *_sided(*_LIMBS)),
    _chains("*_ankle *_knee *_hip *_shoulder head", "*_wrist *_elbow *_shoulder"),
    "head",
)
OPENPOSE18 = Layout(
    "openpose18",
    (
        "nose",
        "neck",
        *_limb("right", "shoulder", "elbow", "wrist"),
        *_limb("left", "shoulder", "elbow", "wrist"),
        *_limb("right", "hip", "knee", "ankle"),
        *_limb("left", "hip", "knee", "ankle"),
        *_sided("eye", "ear", sides=("right", "left")),
    ),
    _chains("*_wrist *_elbow *_shoulder neck", "*_ankle *_knee *_hip *_shoulder", "nose neck", "*_ear *_eye nose"),
    "neck",
)
KINECT20 = Layout(
    "kinect20",
    (
        *("pelvis", "spine", "spine_shoulder", "head"),
        *_limb("left", "shoulder", "elbow", "wrist", "hand"),
        *_limb("right", "shoulder", "elbow", "wrist", "hand"),
        *_limb("left", "hip", "knee", "ankle", "foot"),
        *_limb("right", "hip", "knee", "ankle", "foot"),
    ),
    _chains(
        "*_foot *_ankle *_knee *_hip pelvis",
        "pelvis spine spine_shoulder",
        "head spine_shoulder",
        "*_hand *_wrist *_elbow *_shoulder spine_shoulder",
    ),
    "spine_shoulder",
)
NTU25 = Layout(
    "ntu25",
    (
        *("pelvis", "spine", "neck", "head"),
        *_limb("left", "shoulder", "elbow", "wrist", "hand"),
        *_limb("right", "shoulder", "elbow", "wrist", "hand"),
        *_limb("left", "hip", "knee", "ankle", "foot"),
        *_limb("right", "hip", "knee", "ankle", "foot"),
        "spine_shoulder",
        *_limb("left", "handtip", "thumb"),
        *_limb("right", "handtip", "thumb"),
    ),
    _chains(
        "*_foot *_ankle *_knee *_hip pelvis",
        "pelvis spine spine_shoulder",
        "head neck spine_shoulder",
        "*_handtip *_hand *_wrist *_elbow *_shoulder spine_shoulder",
        "*_thumb *_hand",
    ),
    "spine_shoulder",
)
HAND21 = Layout(
    "hand21",
    ("wrist", *(joint for joints in FINGERS.values() for joint in joints)),
    _chains(*(" ".join([*joints[::-1], "wrist"]) for joints in FINGERS.values())),
    "wrist",
)

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout for layout in (COCO17, PENN13, OPENPOSE18, KINECT20, NTU25, HAND21)
}


def layout_named(name: str) -> Layout:
    """Return a layout by name; ``ValueError`` lists the known ones."""
    if name not in LAYOUTS:
        raise ValueError(f"unknown layout {name!r}: expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def map_joints(
    keypoints: Float32[F32, "*lead V D"],
    scores: Float32[F32, "*lead V"],
    source: Sequence[str],
    target: Layout,
) -> tuple[Float32[F32, "*lead V2 D"], Float32[F32, "*lead V2"]]:
    """Express joints named ``source`` in the target layout.

    A joint of the same name is copied; another is the mean of its substitutes (``SUBSTITUTES``), with their mean score.
    What cannot be had comes out as zeros with score 0.
    """
    keypoints = np.where(scores[..., None] > 0, keypoints, np.float32(0))  # unseen joints may hold anything, even NaN
    places = {name: place for place, name in enumerate(source)}
    mapped = np.zeros((*keypoints.shape[:-2], len(target), keypoints.shape[-1]), np.float32)
    mapped_scores = np.zeros((*scores.shape[:-1], len(target)), np.float32)
    for place, joint in enumerate(target.joints):
        if joint in places:
            mapped[..., place, :] = keypoints[..., places[joint], :]
            mapped_scores[..., place] = scores[..., places[joint]]
            continue
        for rule, names in SUBSTITUTES.get(joint, ()):
            columns = [places[name] for name in names if name in places]
            if not columns or (rule == "all" and len(columns) < len(names)):
                continue
            weights = (scores[..., columns] > 0).astype(np.float32)
            if rule == "all":
                weights *= weights.all(axis=-1, keepdims=True)
            total = np.maximum(weights.sum(axis=-1), 1.0)
            mapped[..., place, :] = (keypoints[..., columns, :] * weights[..., None]).sum(axis=-2) / total[..., None]
            mapped_scores[..., place] = (scores[..., columns] * weights).sum(axis=-1) / total
            break
    return mapped, mapped_scores
