"""AM-STGCN as its paper trains it: Kong et al. 2019, section 4 (see ``models.am_stgcn``).

The paper prints no setting. It reproduces ST-GCN "based on" its authors' work and adds attention, so that all of it is
ST-GCN's: see ``training.recipes.baselines``.
"""

from dataclasses import replace

from training.recipe import SequenceRecipe
from training.recipes.baselines import stgcn_kinetics, stgcn_ntu60_xsub
from training.recipes.registry import register


@register("am-stgcn-kinetics")
def kinetics() -> SequenceRecipe:
    """Kinetics-Skeleton, where most of the paper's figures are from."""
    return replace(
        stgcn_kinetics(),
        name="am-stgcn-kinetics",
        description="AM-STGCN on Kinetics-Skeleton (Kong et al. 2019, section 4.2; settings of ST-GCN)",
        architecture="am_stgcn",
    )


@register("am-stgcn-ntu60-xsub")
def ntu60_xsub() -> SequenceRecipe:
    """Across subjects of NTU RGB+D 60."""
    return replace(
        stgcn_ntu60_xsub(),
        name="am-stgcn-ntu60-xsub",
        description="AM-STGCN across subjects of NTU RGB+D 60 (Kong et al. 2019, section 4.2.5; settings of ST-GCN)",
        architecture="am_stgcn",
    )


@register("am-stgcn-ntu60-xview")
def ntu60_xview() -> SequenceRecipe:
    """Across views."""
    return replace(
        ntu60_xsub(),
        name="am-stgcn-ntu60-xview",
        description="AM-STGCN across views of NTU RGB+D 60 (Kong et al. 2019, section 4.2.5; settings of ST-GCN)",
        split="xview",
    )
