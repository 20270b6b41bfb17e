"""Draw people on one picture as stick figures, each with a caption.

Sizes follow the picture's shorter side, so that a drawing reads alike from 240p to 4k. A person keeps one hue; their
left limbs are lighter and their right limbs deeper than their trunk.
"""

from collections.abc import Iterator, Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray

from pipeline.layouts import Layout
from pipeline.values import Poses

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Colour = tuple[int, int, int]

MIN_SCORE = 0.2
FULL_SCORE = 0.6  # from here on a joint is opaque
FAINTEST = 0.3

FIRST_HUE = 0.93  # gives track 1 a clear blue
HUE_STEP = 0.61803398875  # the golden ratio spreads hues evenly, however many ids there are
SHADES = {"left": (0.40, 1.0), "right": (0.95, 0.80), "": (0.70, 0.95)}  # saturation and value; "" is the trunk
DARK: Colour = (18, 18, 18)
LIGHT: Colour = (255, 255, 255)
MIDDLE_GREY = 128
SHIFT = 4  # bits of subpixel
FONT = cv2.FONT_HERSHEY_DUPLEX
CAPITAL_PX = 22.0  # height of a capital at font scale 1


def track_colour(track_id: int, side: str = "") -> Colour:
    """Return the RGB colour of a track, in the shade of a side ("left", "right", or "" for the trunk)."""
    saturation, value = SHADES[side]
    red, green, blue = hsv_to_rgb((FIRST_HUE + track_id * HUE_STEP) % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_people(
    image: UInt8[U8, "H W 3"], poses: Poses, layout: Layout, captions: Mapping[int, str]
) -> UInt8[U8, "H W 3"]:
    """Return a copy of an RGB picture with the people on it, each under the caption of their track id.

    A joint that scores below ``MIN_SCORE`` is left out, and so are its bones; a weak one is faint. A track without a
    caption shows its id.
    """
    canvas = np.array(image, np.uint8, order="C")
    near_last = np.argsort(poses.boxes_xyxy[:, 3], kind="stable")
    for person in near_last:
        _Figure.of(poses, int(person), layout, min(canvas.shape[:2])).draw(canvas)
    _draw_captions(canvas, poses.select(near_last[::-1].astype(np.int64)), captions)
    return canvas


@dataclass(frozen=True, slots=True, eq=False)
class _Figure:
    """One person's bones and joints, ready to draw."""

    keypoints: Float32[F32, "V 2"]
    scores: Float32[F32, " V"]
    layout: Layout
    track_id: int
    line_px: int

    @classmethod
    def of(cls, poses: Poses, person: int, layout: Layout, short_side: int) -> "_Figure":
        """Take one of the people; lines are thinner on people who are far away."""
        top, bottom = poses.boxes_xyxy[person, 1], poses.boxes_xyxy[person, 3]
        line_px = np.clip((bottom - top) / 70, short_side / 400, short_side / 190)
        return cls(
            poses.keypoints[person],
            poses.scores[person],
            layout,
            int(poses.track_ids[person]),
            max(2, round(float(line_px))),
        )

    def draw(self, canvas: U8) -> None:
        bones = list(self._bones())
        rim = max(1, self.line_px // 3)
        for start, end, _, opacity in bones:
            _line(canvas, start, end, colour=DARK, width_px=self.line_px + 2 * rim, opacity=opacity * 0.7)
        for start, end, side, opacity in bones:
            _line(canvas, start, end, colour=self._colour(side), width_px=self.line_px, opacity=opacity)
        for joint in np.flatnonzero(self.scores >= MIN_SCORE):
            self._draw_joint(canvas, int(joint), rim)

    def _draw_joint(self, canvas: U8, joint: int, rim: int) -> None:
        """Draw a dot over a wider one for its rim."""
        name, point = self.layout.joints[joint], self.keypoints[joint]
        opacity = _opacity(float(self.scores[joint]))
        width_px = round(self.line_px * (1.4 if name.endswith(("eye", "ear")) else 2.2))
        _line(canvas, point, point, colour=DARK, width_px=width_px + 2 * rim, opacity=opacity * 0.7)
        _line(canvas, point, point, colour=self._colour(_side(name)), width_px=width_px, opacity=opacity)

    def _bones(self) -> Iterator[tuple[F32, F32, str, float]]:
        """Yield both ends, side and opacity of each bone whose joints were all seen."""
        for start, end in _drawn_bones(self.layout):
            joints = [self.layout.index(joint) for joint in (*start, *end)]
            score = float(self.scores[joints].min())
            if score >= MIN_SCORE:
                sides = {_side(joint) for joint in (*start, *end)}
                yield (
                    self.keypoints[joints[: len(start)]].mean(axis=0),
                    self.keypoints[joints[len(start) :]].mean(axis=0),
                    sides.pop() if len(sides) == 1 else "",
                    _opacity(score),
                )

    def _colour(self, side: str) -> Colour:
        return track_colour(max(self.track_id, 0), side)


def _drawn_bones(layout: Layout) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield bones as they look best: without neck or pelvis, shoulders and hips are joined and a neck ends between."""
    shoulders, hips = ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")
    has_neck = not {"neck", "spine_shoulder"}.isdisjoint(layout.joints)
    if not layout.trunk:
        yield from (((child,), (parent,)) for child, parent in layout.bones)
        return
    for child, parent in layout.bones:
        if has_neck or child not in shoulders:
            yield (child,), (parent,)
    if not has_neck:
        yield (layout.centre,), shoulders
        yield shoulders[:1], shoulders[1:]
    if "pelvis" not in layout.joints:
        yield hips[:1], hips[1:]


def _side(joint: str) -> str:
    side = joint.partition("_")[0]
    return side if side in SHADES else ""


def _opacity(score: float) -> float:
    return float(np.interp(score, (MIN_SCORE, FULL_SCORE), (FAINTEST, 1.0)))


def _line(canvas: U8, start: F32, end: F32, *, colour: Colour, width_px: int, opacity: float) -> None:
    """Draw a line with round ends, or a dot where it has no length; only the pixels around it are touched."""
    low = np.maximum(np.floor(np.minimum(start, end)) - width_px, 0).astype(int)
    high = np.ceil(np.maximum(start, end)).astype(int) + width_px + 1
    patch = canvas[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if not patch.size:
        return
    painted = patch.copy()
    ends = [tuple(np.rint((point - low) * 2**SHIFT).astype(int).tolist()) for point in (start, end)]
    if ends[0] == ends[1]:
        cv2.circle(painted, ends[0], (width_px << SHIFT) // 2, colour, cv2.FILLED, cv2.LINE_AA, SHIFT)
    else:
        cv2.line(painted, ends[0], ends[1], colour, width_px, cv2.LINE_AA, SHIFT)
    cv2.addWeighted(painted, opacity, patch, 1 - opacity, 0, dst=patch)


@dataclass(frozen=True, slots=True)
class _Caption:
    """A line of text in a box, with its place on the canvas."""

    text: str
    x: int
    y: int
    width: int
    height: int

    def overlaps(self, other: "_Caption") -> bool:
        """Whether two boxes share a pixel."""
        return (
            abs(2 * (self.x - other.x) + self.width - other.width) < self.width + other.width
            and abs(2 * (self.y - other.y) + self.height - other.height) < self.height + other.height
        )


def _draw_captions(canvas: U8, poses: Poses, captions: Mapping[int, str]) -> None:
    """Put captions above heads, those of the people in front first; the others make room."""
    capital_px = max(9.0, 0.024 * min(canvas.shape[:2]))
    placed: list[_Caption] = []
    for track_id, box_xyxy in zip(poses.track_ids.tolist(), poses.boxes_xyxy, strict=True):
        if text := captions.get(track_id, str(track_id) if track_id >= 0 else ""):
            caption = _place(canvas, text, box_xyxy, capital_px, placed)
            placed.append(caption)
            _draw_caption(canvas, caption, track_colour(max(track_id, 0)), capital_px)


def _place(
    canvas: U8, text: str, box_xyxy: Float32[F32, " 4"], capital_px: float, placed: Sequence[_Caption]
) -> _Caption:
    """Find a free place above a person's box, or as near to it as there is one; always whole on the canvas."""
    (text_width, _), _ = cv2.getTextSize(text, FONT, capital_px / CAPITAL_PX, 1)
    height, width = round(2.0 * capital_px), text_width + round(1.2 * capital_px)
    middle, top = float(box_xyxy[0] + box_xyxy[2]) / 2, float(box_xyxy[1]) - 1.4 * height
    x = int(np.clip(middle - width / 2, 0, max(canvas.shape[1] - width, 0)))
    tries = [
        _Caption(text, x, int(np.clip(top + rows * height, 0, max(canvas.shape[0] - height, 0))), width, height)
        for rows in (0, -1, 1, -2, 2, 3, 4)
    ]
    return next((caption for caption in tries if not any(map(caption.overlaps, placed))), tries[0])


def _draw_caption(canvas: U8, caption: _Caption, colour: Colour, capital_px: float) -> None:
    corner = caption.x + caption.width - 1, caption.y + caption.height - 1
    cv2.rectangle(canvas, (caption.x, caption.y), corner, colour, cv2.FILLED)
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    baseline = caption.x + round(0.6 * capital_px), caption.y + round(1.5 * capital_px)
    ink = DARK if luma > MIDDLE_GREY else LIGHT
    cv2.putText(canvas, caption.text, baseline, FONT, capital_px / CAPITAL_PX, ink, 1, cv2.LINE_AA)
