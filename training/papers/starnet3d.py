"""The figures of 3D-STARNET's paper: its attention and its residuals, in PoseC3D (see ``models.starnet3d``)."""

from collections.abc import Iterator

from training.papers.registry import Benchmark, Network, Row, register, rows_of

# Twelve actions of NTU RGB+D 120; the paper does not say how they are parted.
BENCHMARKS = (Benchmark("ntu120-12", "-"), Benchmark("ucf101", "split1"))

COMPARED = (
    (Network("posec3d"), (93.03, 93.10)),
    (Network("x3d"), (94.07, 91.13)),
    (Network("agcn", "2s", {"streams": ("joint", "bone")}), (92.97, 85.22)),
    (Network("stgcn"), (93.62, 90.79)),
    (Network("starnet3d"), (96.74, 93.96)),
)
ABLATIONS = (
    (Network("starnet3d", "+sta", {"staged": False}), (96.15, 93.12)),
    (Network("starnet3d", "+ms-residual", {"sta": False}), (95.51, 93.60)),
)


@register("3d-starnet")
def rows() -> Iterator[Row]:
    """Return the rows of tables 2 and 3; those of table 3 that add nothing, or both, are in table 2."""
    for table, lines in (("2", COMPARED), ("3", ABLATIONS)):
        for network, values in lines:
            yield from rows_of(table, network, benchmarks=BENCHMARKS, values=values)
