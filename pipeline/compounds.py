"""Actions that are two others in a row, without a rest: who goes down and comes up again at once has squatted.

A window that shows no more than the way down cannot tell that from sitting down; what comes after it can.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Float64

from pipeline.values import F32, F64

# Between the middles of both halves. Who stays down for longer has sat.
TURN_S = 2.0


def join_compounds(
    probabilities: Float32[F32, "T K"],
    moments_s: Float64[F64, " T"],
    labels: Sequence[str],
    compounds: Mapping[str, tuple[str, str]],
) -> Float32[F32, "T K"]:
    """Return probabilities in which the halves of a compound count for it where the other half is near.

    A first half passes on as much as its second half and the compound have at some moment up to ``TURN_S`` later, a
    second half as much as its first half and the compound have up to ``TURN_S`` before. Each moment's sum stays.
    """
    if not compounds:
        return probabilities
    joined: F32 = probabilities.copy()
    for whole, halves in compounds.items():
        place, first, second = (labels.index(label) for label in (whole, *halves))
        up_to_come = _highest_near(probabilities[:, second] + probabilities[:, place], moments_s)
        down_before = _highest_near((probabilities[:, first] + probabilities[:, place])[::-1], -moments_s[::-1])[::-1]
        for half, other in ((first, up_to_come), (second, down_before)):
            passed_on = np.minimum(probabilities[:, half], other)
            joined[:, half] -= passed_on
            joined[:, place] += passed_on
    return joined


def _highest_near(values: Float32[F32, " T"], moments_s: Float64[F64, " T"]) -> Float32[F32, " T"]:
    """Return the highest value after each moment and no later than ``TURN_S``; 0 where there is none."""
    highest: F32 = np.zeros_like(values)
    for apart in range(1, len(values)):
        near = moments_s[apart:] - moments_s[:-apart] <= TURN_S
        if not near.any():
            break
        np.maximum(highest[:-apart], values[apart:], out=highest[:-apart], where=near)
    return highest
