"""A Kalman filter on boxes, for all tracks at once and for any step of time.

Each of centre x, centre y, width and height is a position with a velocity, filtered independently of the other three:
the covariance is then a 2 x 2 matrix a coordinate, written out here as three numbers, and no matrix is ever inverted.
States stay at the moment of their last correction and are predicted from there, so a frame that was missed costs
nothing and frame rates may change.

Source: SORT (Bewley et al., ICIP 2016, https://arxiv.org/abs/1602.00763) for the state, ByteTrack for noise in
proportion to the box. Velocities here decay with time, because people stop and boxes that grew do not grow for ever.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from pipeline.values import B1, F32, F64, I64

# Per coordinate (centre x, centre y, width, height); lengths in units of the box's size, sqrt(width * height).
# A person walks about one such unit a second. Chosen on real clips at 5 to 30 frames a second.
MEASURED_STD = np.array([0.05, 0.05, 0.1, 0.1])
BIRTH_SPEED_STD = np.array([1.5, 1.5, 0.5, 0.5])
SPEED_WANDER = np.array([1.5, 1.5, 0.5, 0.5])  # std of the change of speed in 1 s
SPEED_MEMORY_S = np.array([2.0, 2.0, 0.3, 0.3])  # the speed of a box falls to 1/e in this time


@dataclass(frozen=True, slots=True, eq=False)
class BoxStates:
    """Filtered boxes (centre x, centre y, width, height; px) with their velocities (px/s) and covariances."""

    position: Float64[F64, "M 4"]
    velocity: Float64[F64, "M 4"]
    position_var: Float64[F64, "M 4"]
    covariance: Float64[F64, "M 4"]
    velocity_var: Float64[F64, "M 4"]

    @classmethod
    def born(cls, boxes_xyxy: Float32[F32, "M 4"]) -> "BoxStates":
        """Start from boxes seen for the first time: standing still, as far as is known."""
        position = boxes_to_states(boxes_xyxy)
        size = sizes(position)
        still = np.zeros_like(position)
        return cls(position, still, (MEASURED_STD * size) ** 2, still, (BIRTH_SPEED_STD * size) ** 2)

    def predicted(self, steps_s: Float64[F64, " M"]) -> "BoxStates":
        """Move each box on by its own step of time, which may be 0."""
        step = steps_s[:, None]
        kept = np.exp(-step / SPEED_MEMORY_S)
        travel = SPEED_MEMORY_S * (1.0 - kept)
        wander = (SPEED_WANDER * sizes(self.position)) ** 2
        return BoxStates(
            self.position + travel * self.velocity,
            kept * self.velocity,
            self.position_var + travel * (2.0 * self.covariance + travel * self.velocity_var) + wander * step**3 / 3.0,
            kept * (self.covariance + travel * self.velocity_var) + wander * step**2 / 2.0,
            kept**2 * self.velocity_var + wander * step,
        )

    def corrected(self, boxes_xyxy: Float32[F32, "M 4"]) -> "BoxStates":
        """Take in what was measured at the moment the states are at."""
        measured = boxes_to_states(boxes_xyxy)
        noise = (MEASURED_STD * sizes(measured)) ** 2
        gain = self.position_var / (self.position_var + noise)
        speed_gain = self.covariance / (self.position_var + noise)
        surprise = measured - self.position
        return BoxStates(
            self.position + gain * surprise,
            self.velocity + speed_gain * surprise,
            (1.0 - gain) * self.position_var,
            (1.0 - gain) * self.covariance,
            self.velocity_var - speed_gain * self.covariance,
        )

    @property
    def boxes_xyxy(self) -> Float32[F32, "M 4"]:
        """The boxes, px; never thinner than a pixel."""
        half = np.maximum(self.position[:, 2:], 1.0) / 2.0
        centre = self.position[:, :2]
        return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)

    @property
    def spread(self) -> Float64[F64, " M"]:
        """How far off a centre may be: its standard deviation, px."""
        spread: F64 = np.sqrt(self.position_var[:, :2].mean(axis=1))
        return spread

    def select(self, chosen: Bool[B1, " M"] | Int64[I64, " Q"]) -> "BoxStates":
        """Keep the boxes that a mask or an index names."""
        return BoxStates(
            self.position[chosen],
            self.velocity[chosen],
            self.position_var[chosen],
            self.covariance[chosen],
            self.velocity_var[chosen],
        )

    def joined(self, others: "BoxStates") -> "BoxStates":
        """Append other boxes."""
        return BoxStates(
            np.concatenate([self.position, others.position]),
            np.concatenate([self.velocity, others.velocity]),
            np.concatenate([self.position_var, others.position_var]),
            np.concatenate([self.covariance, others.covariance]),
            np.concatenate([self.velocity_var, others.velocity_var]),
        )


def boxes_to_states(boxes_xyxy: Float32[F32, "M 4"]) -> Float64[F64, "M 4"]:
    """Return centre x, centre y, width, height of corner boxes."""
    low, high = boxes_xyxy[:, :2].astype(np.float64), boxes_xyxy[:, 2:].astype(np.float64)
    return np.concatenate([(low + high) / 2.0, high - low], axis=1)


def sizes(position: Float64[F64, "M 4"]) -> Float64[F64, "M 1"]:
    """Return sqrt(width * height) of each box, at least 1 px: it changes less than either side when arms go up."""
    size: F64 = np.sqrt(np.maximum(position[:, 2:], 1.0).prod(axis=1, keepdims=True))
    return size
