"""The recognisers that the five papers compare with, as their own authors train them.

Settings come from the papers and, where those are silent, from the configurations of the authors' code: ST-GCN
(github.com/yysijie/st-gcn), 2s-AGCN (github.com/lshiwjx/2s-AGCN), MS-G3D (github.com/kenziyuliu/MS-G3D), PoseC3D and
its X3D (github.com/kennymckormick/pyskl). All test Kinetics-Skeleton on 300 frames; here a test has as many frames as
training. PoseC3D averages ten samples of a sequence and their mirror images; here there is one.
"""

from dataclasses import replace

from training.recipe import SequenceRecipe
from training.recipes.inputs import CHOSEN_AND_MOVED, DRAWN_48, KINETICS_150, KINETICS_300, NTU_300, PLAIN, SAMPLED
from training.recipes.registry import register
from training.variation import Variation


@register("stgcn-ntu60-xsub")
def stgcn_ntu60_xsub() -> SequenceRecipe:
    """ST-GCN across subjects of NTU RGB+D 60; its paper divides the rate by 10 every 10 epochs, its code twice."""
    return replace(
        PLAIN,
        name="stgcn-ntu60-xsub",
        description="ST-GCN across subjects of NTU RGB+D 60 (Yan et al. 2018, section 4, and their code)",
        architecture="stgcn",
        features=replace(NTU_300, normalisation="camera"),
        variation=Variation(fill="pad"),
        epochs=80,
        batch_size=64,
        learning_rate=0.1,
        milestones=(10, 50),
        weight_decay=1e-4,
    )


@register("stgcn-ntu60-xview")
def stgcn_ntu60_xview() -> SequenceRecipe:
    """ST-GCN across views."""
    return replace(
        stgcn_ntu60_xsub(),
        name="stgcn-ntu60-xview",
        description="ST-GCN across views of NTU RGB+D 60 (Yan et al. 2018, section 4, and their code)",
        split="xview",
    )


@register("stgcn-kinetics")
def stgcn_kinetics() -> SequenceRecipe:
    """ST-GCN on Kinetics-Skeleton, where random frames and moves replace dropout."""
    return replace(
        PLAIN,
        name="stgcn-kinetics",
        description="ST-GCN on Kinetics-Skeleton (Yan et al. 2018, section 4, and their code)",
        architecture="stgcn",
        options={"unit_dropout": 0.0},
        data_set="kinetics-skeleton",
        split="official",
        features=KINETICS_150,
        variation=CHOSEN_AND_MOVED,
        epochs=50,
        batch_size=256,
        learning_rate=0.1,
        milestones=(20, 30, 40),  # and 50, when training is over
        weight_decay=1e-4,
    )


@register("2s-agcn-ntu60-xsub")
def agcn_ntu60_xsub() -> SequenceRecipe:
    """Return the joint stream of 2s-AGCN across subjects of NTU RGB+D 60."""
    return replace(
        PLAIN,
        name="2s-agcn-ntu60-xsub",
        description="2s-AGCN's joint stream across subjects of NTU RGB+D 60 (Shi et al. 2019, section 5.2)",
        architecture="agcn",
        options={"convention": "2s-agcn"},
        features=NTU_300,
        epochs=50,
        batch_size=64,
        learning_rate=0.1,
        milestones=(30, 40),
        weight_decay=1e-4,
    )


@register("2s-agcn-ntu60-xview")
def agcn_ntu60_xview() -> SequenceRecipe:
    """Return the joint stream of 2s-AGCN across views."""
    return replace(
        agcn_ntu60_xsub(),
        name="2s-agcn-ntu60-xview",
        description="2s-AGCN's joint stream across views of NTU RGB+D 60 (Shi et al. 2019, section 5.2)",
        split="xview",
    )


@register("2s-agcn-kinetics")
def agcn_kinetics() -> SequenceRecipe:
    """Return the joint stream of 2s-AGCN on Kinetics-Skeleton, with ST-GCN's augmentation."""
    return replace(
        agcn_ntu60_xsub(),
        name="2s-agcn-kinetics",
        description="2s-AGCN's joint stream on Kinetics-Skeleton (Shi et al. 2019, section 5.2)",
        data_set="kinetics-skeleton",
        split="official",
        features=replace(KINETICS_150, normalisation="upright_frame"),
        variation=CHOSEN_AND_MOVED,
        epochs=65,
        batch_size=128,  # the code's, on four devices; the paper says 64 of every data set
        milestones=(45, 55),
    )


@register("ms-g3d-ntu60-xsub")
def msg3d_ntu60_xsub() -> SequenceRecipe:
    """Return the joint stream of MS-G3D across subjects of NTU RGB+D 60."""
    return replace(
        PLAIN,
        name="ms-g3d-ntu60-xsub",
        description="MS-G3D's joint stream across subjects of NTU RGB+D 60 (Liu et al. 2020, section 4)",
        architecture="msg3d",
        options={"convention": "2s-agcn"},
        features=NTU_300,
        epochs=50,
        batch_size=32,
        learning_rate=0.05,
        milestones=(30, 40),
        weight_decay=5e-4,
    )


@register("ms-g3d-ntu60-xview")
def msg3d_ntu60_xview() -> SequenceRecipe:
    """Return the joint stream of MS-G3D across views."""
    return replace(
        msg3d_ntu60_xsub(),
        name="ms-g3d-ntu60-xview",
        description="MS-G3D's joint stream across views of NTU RGB+D 60 (Liu et al. 2020, section 4)",
        split="xview",
    )


@register("ms-g3d-ntu120-xsub")
def msg3d_ntu120_xsub() -> SequenceRecipe:
    """Return the joint stream of MS-G3D across subjects of NTU RGB+D 120."""
    return replace(
        msg3d_ntu60_xsub(),
        name="ms-g3d-ntu120-xsub",
        description="MS-G3D's joint stream across subjects of NTU RGB+D 120 (Liu et al. 2020, section 4)",
        data_set="ntu120",
        epochs=60,
        milestones=(30, 50),
    )


@register("ms-g3d-ntu120-xset")
def msg3d_ntu120_xset() -> SequenceRecipe:
    """Return the joint stream of MS-G3D across setups."""
    return replace(
        msg3d_ntu120_xsub(),
        name="ms-g3d-ntu120-xset",
        description="MS-G3D's joint stream across setups of NTU RGB+D 120 (Liu et al. 2020, section 4)",
        split="xset",
    )


@register("ms-g3d-kinetics")
def msg3d_kinetics() -> SequenceRecipe:
    """Return the joint stream of MS-G3D on Kinetics-Skeleton."""
    return replace(
        msg3d_ntu60_xsub(),
        name="ms-g3d-kinetics",
        description="MS-G3D's joint stream on Kinetics-Skeleton (Liu et al. 2020, section 4, and their code)",
        options={"convention": "2s-agcn", "gcn_scales": 8, "g3d_scales": 8},
        data_set="kinetics-skeleton",
        split="official",
        features=KINETICS_300,
        epochs=65,
        batch_size=128,  # this, the rate and the decay are the code's, on four devices
        learning_rate=0.1,
        milestones=(45, 55),
        weight_decay=3e-4,
    )


@register("posec3d-ntu60-xsub")
def posec3d_ntu60_xsub() -> SequenceRecipe:
    """PoseC3D on pictures of joints, across subjects of NTU RGB+D 60.

    The data are poses found in the videos: PYSKL's file of them, converted.
    """
    return replace(
        PLAIN,
        name="posec3d-ntu60-xsub",
        description="PoseC3D's joints across subjects of NTU RGB+D 60 (Duan et al. 2022, section 4, and their code)",
        architecture="posec3d",
        nesterov=False,
        features=DRAWN_48,
        variation=SAMPLED,
        epochs=24,
        repeats=10,
        batch_size=256,
        learning_rate=0.4,
        schedule="cosine",
        weight_decay=3e-4,
        gradient_clip=40.0,
    )


@register("posec3d-ntu60-xview")
def posec3d_ntu60_xview() -> SequenceRecipe:
    """PoseC3D across views."""
    return replace(
        posec3d_ntu60_xsub(),
        name="posec3d-ntu60-xview",
        description="PoseC3D's joints across views of NTU RGB+D 60 (Duan et al. 2022, section 4, and their code)",
        split="xview",
    )


@register("posec3d-ntu120-xsub")
def posec3d_ntu120_xsub() -> SequenceRecipe:
    """PoseC3D across subjects of NTU RGB+D 120."""
    return replace(
        posec3d_ntu60_xsub(),
        name="posec3d-ntu120-xsub",
        description="PoseC3D's joints across subjects of NTU RGB+D 120 (Duan et al. 2022, section 4, and their code)",
        data_set="ntu120",
    )


@register("posec3d-ntu120-xset")
def posec3d_ntu120_xset() -> SequenceRecipe:
    """PoseC3D across setups."""
    return replace(
        posec3d_ntu120_xsub(),
        name="posec3d-ntu120-xset",
        description="PoseC3D's joints across setups of NTU RGB+D 120 (Duan et al. 2022, section 4, and their code)",
        split="xset",
    )


@register("x3d-ntu60-xsub")
def x3d_ntu60_xsub() -> SequenceRecipe:
    """PoseC3D's shallow X3D, which is trained as PoseC3D."""
    return replace(
        posec3d_ntu60_xsub(),
        name="x3d-ntu60-xsub",
        description="X3D on joints across subjects of NTU RGB+D 60 (Duan et al. 2022, section 4, and their code)",
        architecture="x3d",
    )
