"""Read joints from SimCC outputs, as RTMPose gives them: one row of cells for x and one for y.

Source: Li et al., SimCC (arXiv 2107.03332); MMPose's ``get_simcc_maximum`` for scores.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from pipeline.values import F32


def read_simcc(
    outputs: Mapping[str, F32], size_wh: tuple[int, int]
) -> tuple[Float32[F32, "N V 2"], Float32[F32, "N V"]]:
    """Return joints in px of the crop, and their scores in [0, 1].

    The place is that of the highest cell, which the model makes half a px wide (its split ratio of 2); the score is
    the lower of the two maxima. ``outputs`` are ``simcc_x`` [N, V, W] and ``simcc_y`` [N, V, H].
    """
    rows = (outputs["simcc_x"], outputs["simcc_y"])
    places = np.stack([row.argmax(axis=-1) for row in rows], axis=-1)
    scores = np.minimum(*(row.max(axis=-1) for row in rows))
    cells_wh = np.array([row.shape[-1] for row in rows])
    return (places * (np.array(size_wh) / cells_wh)).astype(np.float32), np.clip(scores, 0, 1).astype(np.float32)
