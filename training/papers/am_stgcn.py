"""The figures of AM-STGCN's paper: where its attention helps, how much of it, and in which network.

See ``models.am_stgcn``. Its ST-GCN has the nine layers that the attention is added to.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from training.papers.registry import Benchmark, Network, Row, register, rows_of

NTU60 = (Benchmark("ntu60", "xsub"), Benchmark("ntu60", "xview"))
KINETICS = (Benchmark("kinetics-skeleton", "val"), Benchmark("kinetics-skeleton", "val", "top5"))

NINE_LAYERS = {"widths": (1, 1, 1, 2, 2, 2, 4, 4, 4), "strides": (1, 1, 1, 2, 1, 1, 2, 1, 1)}

Attention: TypeAlias = tuple[tuple[int, str, int], ...]  # layer, convolution, blocks
BEST: Attention = ((3, "t", 3),)

# Tables 2 to 6, Kinetics-Skeleton: top 1, and top 5 of the best.
ATTENTION: Mapping[str, Mapping[Attention, tuple[float, ...]]] = {
    "2": {
        ((1, "s", 1),): (31.6,),
        ((2, "s", 1),): (31.9,),
        ((3, "s", 1),): (31.9,),
        ((4, "s", 1),): (31.3,),
        ((9, "s", 1),): (31.0,),
    },
    "3": {
        ((1, "s", 2),): (32.0,),
        ((2, "s", 2),): (32.1,),
        ((3, "s", 2),): (31.4,),
        ((1, "s", 3),): (30.6,),
        ((2, "s", 3),): (31.1,),
        ((3, "s", 3),): (32.2,),
        ((4, "s", 3),): (31.1,),
    },
    "4": {
        ((2, "s", 1), (3, "s", 1)): (31.4,),
        ((1, "s", 2), (2, "s", 2)): (30.9,),
        ((2, "s", 2), (3, "s", 2)): (32.3,),
        ((1, "s", 2), (3, "s", 2)): (31.5,),
    },
    "5": {
        ((2, "t", 2),): (32.0,),
        BEST: (32.9, 55.4),
        ((5, "t", 3),): (31.7,),
    },
    "6": {
        ((2, "t", 2), (3, "t", 3)): (32.3,),
        ((2, "s", 1), (2, "t", 2)): (31.5,),
        ((2, "s", 2), (3, "t", 3)): (31.8,),
    },
}


def attended(attention: Attention) -> Network:
    """Return AM-STGCN with these blocks."""
    places = (f"layer {layer} conv-{convolution} x{count}" for layer, convolution, count in attention)
    return Network("am_stgcn", " + ".join(places), {"attention": attention})


@register("am-stgcn")
def rows() -> Iterator[Row]:
    """Return the rows of tables 1 to 7 and 10."""
    yield from rows_of("1", Network("stgcn", options=NINE_LAYERS), benchmarks=KINETICS, values=(30.7, 53.7))
    for table, lines in ATTENTION.items():
        for attention, values in lines.items():
            yield from rows_of(table, attended(attention), benchmarks=KINETICS[: len(values)], values=values)
    for variant, name, values in (("+cbam", "cbam", (31.9, 54.3)), ("+senet", "se", (31.6, 54.2))):
        network = Network("stgcn", variant, {**NINE_LAYERS, "channel_attention": name})
        yield from rows_of("7", network, benchmarks=KINETICS, values=values)
    yield from rows_of("10", attended(BEST), benchmarks=NTU60, values=(83.4, 91.4))
    yield from rows_of("10", Network("agcn", "joint baseline"), benchmarks=NTU60, values=(85.9, 93.7))
    with_attention = Network("agcn", "joint + attention", {"non_local": ((3, 3),)})
    yield from rows_of("10", with_attention, benchmarks=NTU60, values=(86.4, 94.1))
