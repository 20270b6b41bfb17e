"""The figures of STF-Net's paper: streams, grains of body parts, and what MCF and TDF add (see ``models.stfnet``).

Which grains make up table IV's one, two and three parts is not said: here joints, then fine parts, then coarse ones.
The ST-GCN that it calls re-implemented is STF-Net's own frame without graph mask, MCF and TDF, and not the first one's.
"""

from collections.abc import Iterator

from models.streams import STREAMS
from training.papers.registry import Benchmark, Network, Row, register, rows_of

NTU60 = (Benchmark("ntu60", "xsub"), Benchmark("ntu60", "xview"))
NTU120 = (Benchmark("ntu120", "xsub"), Benchmark("ntu120", "xset"))
KINETICS = (Benchmark("kinetics-skeleton", "val"), Benchmark("kinetics-skeleton", "val", "top5"))

TWO = ("joint", "bone")
GRAINS = {"1 part": ("joint",), "2 parts": ("joint", "fine"), "3 parts": ("joint", "fine", "coarse")}
# The paper has two grains for Kinetics-Skeleton.
ON_KINETICS = {"streams": STREAMS, "grains": GRAINS["2 parts"]}

# Accuracy across subjects and views, and millions of parameters.
TABLE_I = (
    (Network("stfnet", "joint", {"streams": ("joint",)}), (88.8, 95.0), 1.7),
    (Network("stfnet", "bone", {"streams": ("bone",)}), (89.1, 95.1), 1.7),
    (Network("stfnet", "2s", {"streams": TWO}), (90.8, 96.2), 3.4),
    (Network("stfnet", "4s", {"streams": STREAMS}), (91.1, 96.5), 6.8),
    (Network("stgcn"), (81.5, 88.3), 3.1),
    (Network("agcn", "2s", {"streams": TWO}), (88.5, 95.1), 6.94),
    (Network("msg3d", "joint", {"streams": ("joint",)}), (89.4, 95.0), 3.2),
)
# Accuracy across subjects.
PARTS_ON_NTU60 = {"1 part": 88.2, "2 parts": 88.4, "3 parts": 88.8}
PARTS_ON_KINETICS = {"1 part": 34.4, "2 parts": 35.0}
MODULES = (
    (Network("stfnet", "re-implemented", {"graph_mask": False, "mcf_blocks": (), "tdf": False}), 86.2),
    (Network("stfnet", "w/o mcf and tdf", {"mcf_blocks": (), "tdf": False}), 87.4),
    (Network("stfnet", "w/o mcf", {"mcf_blocks": ()}), 88.1),
    (Network("stfnet", "w/o tdf", {"tdf": False}), 88.0),
)


@register("stf-net")
def rows() -> Iterator[Row]:
    """Return the rows of tables I to IV."""
    for network, values, parameters_m in TABLE_I:
        yield from rows_of("I", network, benchmarks=NTU60, values=values, parameters_m=parameters_m)
    yield from rows_of("II", Network("stfnet", "4s", {"streams": STREAMS}), benchmarks=NTU120, values=(86.5, 88.2))
    yield from rows_of("III", Network("stfnet", "4s", ON_KINETICS), benchmarks=KINETICS, values=(36.1, 58.9))
    for benchmarks, figures in ((KINETICS[:1], PARTS_ON_KINETICS), (NTU60[:1], PARTS_ON_NTU60)):
        for parts, value in figures.items():
            network = Network("stfnet", f"joint {parts}", {"grains": GRAINS[parts]})
            yield from rows_of("IV", network, benchmarks=benchmarks, values=(value,))
    for network, value in MODULES:
        yield from rows_of("IV", network, benchmarks=NTU60[:1], values=(value,))
