"""STF-Net as its paper trains it: Wu et al., section IV-B, "Implementation Details" (see ``models.stfnet``).

Optimiser, rates, epochs, batch and decay are printed. A recipe trains the joint stream; the others are
``options.streams``, trained by themselves and fused.
"""

from dataclasses import replace

from training.recipe import SequenceRecipe
from training.recipes.inputs import CHOSEN_AND_MOVED, KINETICS_150, NTU_300, PLAIN, REPLAYED
from training.recipes.registry import register


@register("stfnet-ntu60-xsub")
def ntu60_xsub() -> SequenceRecipe:
    """Across subjects of NTU RGB+D 60: 300 frames by repeating, prepared as in AAGCN (Shi et al. 2020)."""
    return replace(
        PLAIN,
        name="stfnet-ntu60-xsub",
        description="STF-Net's joint stream across subjects of NTU RGB+D 60 (Wu et al., section IV-B, table I)",
        architecture="stfnet",
        features=NTU_300,
        variation=REPLAYED,
        epochs=65,
        batch_size=32,
        learning_rate=0.1,
        milestones=(30, 40),
        weight_decay=1e-4,
    )


@register("stfnet-ntu60-xview")
def ntu60_xview() -> SequenceRecipe:
    """Across views."""
    return replace(
        ntu60_xsub(),
        name="stfnet-ntu60-xview",
        description="STF-Net's joint stream across views of NTU RGB+D 60 (Wu et al., section IV-B, table I)",
        split="xview",
    )


@register("stfnet-ntu120-xsub")
def ntu120_xsub() -> SequenceRecipe:
    """Across subjects of NTU RGB+D 120, trained as the other one."""
    return replace(
        ntu60_xsub(),
        name="stfnet-ntu120-xsub",
        description="STF-Net's joint stream across subjects of NTU RGB+D 120 (Wu et al., section IV-B, table II)",
        data_set="ntu120",
    )


@register("stfnet-ntu120-xset")
def ntu120_xset() -> SequenceRecipe:
    """Across setups."""
    return replace(
        ntu120_xsub(),
        name="stfnet-ntu120-xset",
        description="STF-Net's joint stream across setups of NTU RGB+D 120 (Wu et al., section IV-B, table II)",
        split="xset",
    )


@register("stfnet-kinetics")
def kinetics() -> SequenceRecipe:
    """Kinetics-Skeleton: 150 frames, two people and the augmentation of ST-GCN; two grains of body parts."""
    return replace(
        ntu60_xsub(),
        name="stfnet-kinetics",
        description="STF-Net's joint stream on Kinetics-Skeleton (Wu et al., section IV-B, table III)",
        options={"grains": ("joint", "fine")},
        data_set="kinetics-skeleton",
        split="official",
        features=KINETICS_150,
        variation=CHOSEN_AND_MOVED,
        milestones=(30, 55),
    )
