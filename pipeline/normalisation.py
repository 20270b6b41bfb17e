"""Where a window's coordinates begin, which way they point and how long their unit is: our own way, and others'.

``torso`` is the project's: it knows neither the camera nor the sensor. The others are what public checkpoints were
trained on, written from the codes that trained them: MMAction2 and PYSKL (Apache-2.0), ST-GCN (BSD-2), 2s-AGCN and
MS-G3D. Keypoints come in px with y down, or in metres with x to the right, y down and z away from the sensor.

Three things differ from those codes, on purpose. A joint that was never seen, and a frame in which nobody is, is zero,
as in PYSKL; MMAction2 moves the zeros of its files with everything else, to (-1, -1). A joint that was hardly seen has
been put where the frames around it say (see ``pipeline.features``), where MMAction2 takes any guess and PYSKL any that
scores above 0.01. And a window keeps its frames: the bodies of 3D clips are aligned there after all frames without the
first person have been dropped, which would bend time.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64
from numpy.typing import NDArray

from pipeline.errors import UnfitClip
from pipeline.layouts import Layout

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
B1 = NDArray[np.bool_]
Real = TypeVar("Real", bound=np.floating)
Normalise = Callable[[F32, B1, Layout], F32]

# Whose coordinates are whose: what each normalisation is, for whoever reads a card.
NORMALISATIONS: Mapping[str, str] = {
    "torso": "lengths of the torso about the window's mean body centre, y down",
    "frame": "halves of the picture about its middle, y down, as MMAction2's and PYSKL's PreNormalize2D",
    "half_frame": "the whole picture is 1 long, about its middle, y down, as ST-GCN's Kinetics",
    "upright_frame": "the whole picture is 1 long, about its middle, y up, as 2s-AGCN's and MS-G3D's Kinetics",
    "extent": "-1 to 1 over all that the window's joints ever reach, as PYSKL's PreNormalize2D(mode='auto')",
    "body": "metres about the first frame's spine, z along it and x along the shoulders, as PreNormalize3D",
    "moving_body": "metres about each frame's spine, turned as in body, as 2s-AGCN's and MS-G3D's NTU RGB+D",
    "camera": "metres from the sensor, x to its left and y up, as ST-GCN's NTU RGB+D",
}
IN_PICTURE = frozenset({"frame", "half_frame", "upright_frame"})
IN_SPACE = frozenset({"body", "moving_body", "camera"})
ALIGNED = frozenset({"body", "moving_body"})
ALIGNED_BY = ("pelvis", "spine", "right_shoulder", "left_shoulder")

# Length of a bone seen at right angles, in lengths of the torso (Drillis and Contini 1966, segment lengths by stature).
BONES_IN_TORSOS = (("hip", "knee", 0.85), ("knee", "ankle", 0.85))
FROM_CAMERA = np.array([-1, -1, 1], np.float32)  # a sensor's x points to its left and its y up
Z_AXIS, X_AXIS = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0])


def check_normalisation(name: str, layout: Layout) -> None:
    """Raise ``ValueError`` for a normalisation that is unknown, or that the layout lacks joints for."""
    if name not in NORMALISATIONS:
        raise ValueError(f"unknown normalisation {name!r}: expected one of {', '.join(NORMALISATIONS)}")
    missing = [joint for joint in ALIGNED_BY if joint not in layout.joints]
    if name in ALIGNED and missing:
        raise ValueError(
            f"normalisation {name!r}: expected a layout with {', '.join(ALIGNED_BY)}; {layout.name!r} lacks "
            f"{', '.join(missing)}"
        )


def normalise(
    coordinates: Float32[F32, "T M V D"],
    known: Bool[B1, "T M V"],
    name: str,
    *,
    layout: Layout,
    size_wh: tuple[int, int] | None,
) -> Float32[F32, "T M V D"]:
    """Normalise a window; what comes out for joints that are not known means nothing.

    Raises:
        UnfitClip: the clip has not what that takes: a picture's size, or a third coordinate.
    """
    num_axes = coordinates.shape[-1]
    if name in IN_PICTURE and (size_wh is None or num_axes != 2):
        raise UnfitClip(
            f"the model takes keypoints in px and the size of their picture: expected x, y and size_wh, got {num_axes} "
            f"coordinates a joint and size_wh {size_wh}"
        )
    if name in IN_SPACE and num_axes != 3:
        raise UnfitClip(
            "the model takes keypoints in metres, of a depth sensor: expected x, y and z, got "
            f"{num_axes} coordinates a joint"
        )
    if not known.any():
        return coordinates
    if size_wh is not None and name in IN_PICTURE:
        flip = np.array([1, -1 if name == "upright_frame" else 1], np.float32)
        return frame_halves(coordinates, size_wh) * flip * np.float32(1.0 if name == "frame" else 0.5)
    return _NORMALISERS[name](coordinates, known, layout)


def torso_lengths(
    coordinates: Float32[F32, "T M V D"], known: Bool[B1, "T M V"], layout: Layout
) -> Float32[F32, "T M V D"]:
    """Move the first person's body centre to the origin and divide by their torso length, once a window.

    Of a hand, the centre is the mean of its joints and the length their mean distance from it.
    """
    if not known.any():
        return coordinates
    first = int(np.argmax(known.any(axis=(0, 2))))
    body, there = coordinates[:, first], known[:, first]
    corners = trunk_of(layout, there)
    centre = body[:, corners][there[:, corners]].mean(axis=0)
    normalised: F32 = (coordinates - centre) / np.float32(_body_scale(body, there, layout))
    return normalised


def trunk_of(layout: Layout, there: Bool[B1, "T V"]) -> list[int]:
    """Return the corners of the trunk that are there at all; if none is, all joints that are."""
    known = np.flatnonzero(there.any(axis=0)).tolist()
    return [joint for joint in layout.trunk if joint in known] or known


def _body_scale(body: Float32[F32, "T V D"], there: Bool[B1, "T V"], layout: Layout) -> float:
    """Estimate the length of the torso.

    A bone turned towards the camera only ever looks shorter, so the longest estimate of several bones is the best one;
    each is a median over time, which single wrong joints do not move.
    """
    frames, seen = np.asarray(there.any(axis=-1)), np.asarray(there.any(axis=0))
    lengths = [
        float(np.median(np.linalg.norm(body[frames, layout.index(upper)] - body[frames, layout.index(lower)], axis=-1)))
        / share
        for upper, lower, share in _SPANS
        if {upper, lower} <= {*layout.joints} and seen[layout.index(upper)] and seen[layout.index(lower)]
    ]
    if lengths and max(lengths) > 0:
        return max(lengths)
    spread = body[there]
    return max(float(np.linalg.norm(spread - spread.mean(axis=0), axis=-1).mean()), 1e-6)


_SPANS = tuple(
    (f"{side}_{upper}", f"{side}_{lower}", share)
    for side in ("left", "right")
    for upper, lower, share in (("shoulder", "hip", 1.0), *BONES_IN_TORSOS)
)


def frame_halves(
    keypoints: Float[NDArray[Real], "*lead 2"], size_wh: tuple[int, int]
) -> Float[NDArray[Real], "*lead 2"]:
    """Return px as halves of the picture's width and height about its middle, in the precision that they have."""
    half = (np.array(size_wh) / 2).astype(keypoints.dtype)
    halves: NDArray[Real] = ((keypoints - half) / half).astype(keypoints.dtype)
    return halves


def extent_halves(
    coordinates: Float32[F32, "T M V D"], known: Bool[B1, "T M V"], layout: Layout
) -> Float32[F32, "T M V D"]:
    """Stretch each axis so that the joints that are known reach from -1 to 1.

    PYSKL leaves joints that lie within 10 px as they are, in px.
    """
    reached = coordinates[known]
    low, high = reached.min(axis=0), reached.max(axis=0)
    stretched: F32 = (coordinates - (high + low) / 2) / np.maximum(high - low, np.float32(1e-6)) * 2
    return stretched


def body_axes(
    coordinates: Float32[F32, "T M V 3"], known: Bool[B1, "T M V"], layout: Layout, *, follow: bool = False
) -> Float32[F32, "T M V 3"]:
    """Put the first person's spine in the origin and turn it along z, then their shoulders along x, left to right.

    The first person is the one who is there in most frames, and their first frame decides; ``follow`` puts the spine
    in the origin of every frame, so that where somebody goes is lost.

    Coordinates are the camera's, y up: unless shoulders and spine are at right angles, the second turn tilts the spine
    again and two shortest turns depend on where one begins. It is so in all codes that have this.
    """
    there = np.asarray(known.any(axis=2))
    person = int(np.argmax(there.sum(axis=0)))
    first = int(np.argmax(there[:, person]))
    pelvis, spine, right, left = (layout.index(joint) for joint in ALIGNED_BY)
    origin = coordinates[:, person, spine] if follow else coordinates[first : first + 1, person, spine]
    centred = (coordinates - origin[:, None, None]).astype(np.float64)
    body = centred[first, person]
    upright = rotation_onto(body[spine] - body[pelvis], Z_AXIS)
    sideways = rotation_onto(upright @ (body[right] - body[left]), X_AXIS)
    turned: F32 = (centred @ (sideways @ upright).T).astype(np.float32)
    return turned


def rotation_onto(vector: Float64[F64, " 3"], axis: Float64[F64, " 3"]) -> Float64[F64, "3 3"]:
    """Return the shortest rotation that turns a vector along an axis; none for a vector of no length, or along it.

    Rodrigues' formula.
    """
    normal = np.cross(vector, axis)
    sine, cosine = float(np.linalg.norm(normal)), float(vector @ axis)
    if np.abs(vector).sum() < 1e-6 or np.abs(normal).sum() < 1e-6:
        return np.eye(3)
    x, y, z = normal / sine
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.arctan2(sine, cosine)
    rotation: F64 = np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * (across @ across)
    return rotation


def _from_camera(coordinates: F32, known: B1, layout: Layout) -> F32:
    return coordinates * FROM_CAMERA


def _body(coordinates: F32, known: B1, layout: Layout) -> F32:
    return body_axes(coordinates * FROM_CAMERA, known, layout)


def _moving_body(coordinates: F32, known: B1, layout: Layout) -> F32:
    return body_axes(coordinates * FROM_CAMERA, known, layout, follow=True)


_NORMALISERS: Mapping[str, Normalise] = {
    "torso": torso_lengths,
    "extent": extent_halves,
    "body": _body,
    "moving_body": _moving_body,
    "camera": _from_camera,
}
