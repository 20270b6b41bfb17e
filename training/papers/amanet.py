"""The figures of AMANet's paper: what each of its modules adds to MS-G3D, alone and together (see ``models.amanet``).

MS-G3D has six distances in windows, but this paper's has five (see there why), and so have its own networks here; the
figures of tables 1 and 8 for MS-G3D are those of MS-G3D's authors, and of their network.
"""

from collections.abc import Iterator, Mapping

from training.papers.registry import Benchmark, Network, Row, register, rows_of

NTU60 = (Benchmark("ntu60", "xsub"), Benchmark("ntu60", "xview"))
NTU120 = (Benchmark("ntu120", "xsub"), Benchmark("ntu120", "xset"))
KINETICS = (Benchmark("kinetics-skeleton", "val"), Benchmark("kinetics-skeleton", "val", "top5"))

FIVE_DISTANCES = {"g3d_scales": 5}
# MS-G3D's for Kinetics-Skeleton.
EIGHT_DISTANCES = {"gcn_scales": 8, "g3d_scales": 8}
# AMANet without any of its modules is MS-G3D.
BARE: Mapping[str, object] = {
    "features": (),
    "spatial": ("gcn",),
    "temporal": ("tcn",),
    "unified": ("g3d",),
    **FIVE_DISTANCES,
}

TWO = {"streams": ("joint", "bone")}
FOUR = {"streams": ("joint", "bone", "joint", "bone"), "grains": ("joint", "joint", "fine", "fine")}

# The network for NTU RGB+D, the one for Kinetics-Skeleton, and accuracies on NTU RGB+D 60, 120 and Kinetics-Skeleton.
TABLE_1 = (
    (Network("stgcn"), Network("stgcn"), (81.5, 88.3, 70.7, 73.2, 30.7, 52.8)),
    (Network("agcn", "2s", TWO), Network("agcn", "2s", TWO), (88.5, 95.1, 82.9, 84.9, 36.1, 58.7)),
    (
        Network("msg3d", "2s", TWO),
        Network("msg3d", "2s", {**TWO, **EIGHT_DISTANCES}),
        (91.5, 96.2, 86.9, 88.4, 38.0, 60.9),
    ),
    (
        Network("amanet", "4s", {**FOUR, **FIVE_DISTANCES}),
        Network("amanet", "4s", {**FOUR, **EIGHT_DISTANCES}),
        (92.1, 96.6, 86.7, 88.6, 38.2, 61.2),
    ),
)


def enriched(variant: str, *features: str) -> Network:
    """Return MS-G3D's joint stream with more channels in."""
    return Network("amanet", f"joint in={variant}", {**BARE, "features": features})


def changed(variant: str, modules: Mapping[str, object]) -> Network:
    """Return MS-G3D with some of AMANet's modules."""
    return Network("amanet", variant, {**BARE, **modules})


def whole(variant: str, options: Mapping[str, object]) -> Network:
    """Return all of AMANet."""
    return Network("amanet", variant, {**options, **FIVE_DISTANCES})


# From here on across subjects of NTU RGB+D 60: accuracy, millions of parameters, billions of multiply-adds.
ABLATIONS: Mapping[str, tuple[tuple[Network, float, float | None, float | None], ...]] = {
    "2": (
        (Network("msg3d", "joint in=3", FIVE_DISTANCES), 89.1, None, None),
        (enriched("9 (v a)", "velocity", "acceleration"), 89.7, None, None),
        (enriched("12 (v a rel)", "relative", "velocity", "acceleration"), 89.9, None, None),
        (enriched("12 (v a alien)", "alien", "velocity", "acceleration"), 90.2, None, None),
        (enriched("15 (v a rel alien)", "relative", "alien", "velocity", "acceleration"), 89.9, None, None),
    ),
    "3": ((changed("k=1 gcn->sfem alpha=0.8", {"spatial": ("sfem",), "alpha": 0.8}), 88.8, 2.8, 25.79),),
    "4": (
        (Network("msg3d", "k=1", {"gcn_scales": 1, **FIVE_DISTANCES}), 88.4, 2.4, 24.04),
        (Network("msg3d", "k=13", FIVE_DISTANCES), 89.1, 3.2, 29.95),
        (changed("k=13 sfem+ms-gcn", {"spatial": ("sfem", "gcn")}), 89.5, 3.3, 32.17),
    ),
    "5": (
        (changed("tcn->jf+ms-tcn", {"temporal": ("jf",)}), 89.3, 3.1, 32.07),
        (changed("tcn->ff+ms-tcn", {"temporal": ("ff",)}), 89.4, 3.3, 34.19),
        (changed("tcn->tfem g=3", {"temporal": ("ff", "jf"), "group": 3}), 89.4, 3.7, 37.41),
        (changed("tcn->tfem g=5", {"temporal": ("ff", "jf"), "group": 5}), 89.6, 3.8, 39.23),
        (changed("tcn->tfem g=7", {"temporal": ("ff", "jf"), "group": 7}), 89.3, 4.0, 41.86),
    ),
    "6": (
        (Network("msg3d", "g3d k=1", {"g3d_scales": 1}), 88.5, 2.4, 18.12),
        (changed("g3d k=1->stfem", {"unified": ("stfem",)}), 88.7, 1.8, 14.93),
        (changed("stfem+ms-g3d", {"unified": ("stfem", "g3d")}), 89.3, 3.4, 36.26),
    ),
    "8": (
        (Network("msg3d", "joint", {"streams": ("joint",)}), 89.4, None, None),
        (Network("msg3d", "bone", {"streams": ("bone",)}), 90.1, None, None),
        (Network("msg3d", "2s", TWO), 91.5, None, None),
        (whole("joint-fused", {"streams": ("joint",), "grains": ("fine",)}), 87.7, None, None),
        (whole("bone-fused", {"streams": ("bone",), "grains": ("fine",)}), 88.5, None, None),
        (whole("fused 2s", {"streams": ("joint", "bone"), "grains": ("fine", "fine")}), 89.7, None, None),
        (whole("joint", {"streams": ("joint",)}), 89.2, None, None),
        (whole("bone", {"streams": ("bone",)}), 90.4, None, None),
        (whole("2s", {"streams": ("joint", "bone")}), 91.7, None, None),
        (whole("4s", FOUR), 92.1, None, None),
    ),
    "9": (
        (whole("sfem-tfem", {}), 89.5, 4.3, 44.23),
        (whole("tfem-sfem", {"temporal_first": True}), 89.3, 4.7, 46.93),
    ),
}


@register("amanet")
def rows() -> Iterator[Row]:
    """Return the rows of tables 1 to 6, 8 and 9."""
    for on_ntu, on_kinetics, values in TABLE_1:
        yield from rows_of("1", on_ntu, benchmarks=(*NTU60, *NTU120), values=values[:4])
        yield from rows_of("1", on_kinetics, benchmarks=KINETICS, values=values[4:])
    for table, lines in ABLATIONS.items():
        for network, value, parameters_m, gflops in lines:
            yield from rows_of(
                table, network, benchmarks=NTU60[:1], values=(value,), parameters_m=parameters_m, gflops=gflops
            )
