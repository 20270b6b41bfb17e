"""AMANet as its paper trains it: Yin et al. 2023, "Implementations" (see ``models.amanet``).

Optimiser, rate, batch, epochs, milestones, decay and replaying to 300 frames are printed. What the skeletons are
counted from and what a bone is are not: MS-G3D's, whose code and baseline it is. A recipe trains the joint stream on
the skeleton; the paper's four streams are ``options.streams`` and ``options.grains``, trained by themselves and fused.
"""

from dataclasses import replace

from training.recipe import SequenceRecipe
from training.recipes.inputs import KINETICS_300, NTU_300, PLAIN, REPLAYED
from training.recipes.registry import register


@register("amanet-ntu60-xsub")
def ntu60_xsub() -> SequenceRecipe:
    """Across subjects of NTU RGB+D 60; five distances in windows, as the paper's counts have it."""
    return replace(
        PLAIN,
        name="amanet-ntu60-xsub",
        description="AMANet's joint stream across subjects of NTU RGB+D 60 (Yin et al. 2023, Implementations)",
        architecture="amanet",
        options={"convention": "2s-agcn", "g3d_scales": 5},
        features=NTU_300,
        variation=REPLAYED,
        epochs=50,
        batch_size=32,
        learning_rate=0.05,
        milestones=(30, 40),
        weight_decay=5e-4,
    )


@register("amanet-ntu60-xview")
def ntu60_xview() -> SequenceRecipe:
    """Across views."""
    return replace(
        ntu60_xsub(),
        name="amanet-ntu60-xview",
        description="AMANet's joint stream across views of NTU RGB+D 60 (Yin et al. 2023, Implementations)",
        split="xview",
    )


@register("amanet-ntu120-xsub")
def ntu120_xsub() -> SequenceRecipe:
    """Across subjects of NTU RGB+D 120."""
    return replace(
        ntu60_xsub(),
        name="amanet-ntu120-xsub",
        description="AMANet's joint stream across subjects of NTU RGB+D 120 (Yin et al. 2023, Implementations)",
        data_set="ntu120",
        epochs=60,
        milestones=(30, 50),
    )


@register("amanet-ntu120-xset")
def ntu120_xset() -> SequenceRecipe:
    """Across setups."""
    return replace(
        ntu120_xsub(),
        name="amanet-ntu120-xset",
        description="AMANet's joint stream across setups of NTU RGB+D 120 (Yin et al. 2023, Implementations)",
        split="xset",
    )


@register("amanet-kinetics")
def kinetics() -> SequenceRecipe:
    """Kinetics-Skeleton, with the distances that MS-G3D tells apart there."""
    return replace(
        ntu60_xsub(),
        name="amanet-kinetics",
        description="AMANet's joint stream on Kinetics-Skeleton (Yin et al. 2023, Implementations)",
        options={"convention": "2s-agcn", "gcn_scales": 8, "g3d_scales": 8},
        data_set="kinetics-skeleton",
        split="official",
        features=KINETICS_300,
        epochs=65,
        milestones=(45, 55),
    )
