"""CSTA-CNN as its paper trains it: Wang 2019, section 3.1, "Implementation Details" (see ``models.csta_cnn``).

Printed are 30 frames of 25 joints, and eight copies of each sample: four of 30 random frames, four of a random part of
the sequence in 30 frames. Everything else is that of HCN, whose cropping the paper takes and whose authors made the
network that it is built on: C. Li et al., "Co-occurrence Feature Learning from Skeleton Data for Action Recognition and
Detection with Hierarchical Aggregation", IJCAI 2018, and a public implementation (github.com/huguyuehuhu/HCN-pytorch).
"""

from dataclasses import replace

from training.recipe import SequenceRecipe
from training.recipes.inputs import NTU_300, PLAIN
from training.recipes.registry import register
from training.variation import Variation


@register("csta-cnn-ntu60-xsub")
def ntu60_xsub() -> SequenceRecipe:
    """Across subjects of NTU RGB+D 60, cropped to 90 to 100 %."""
    return replace(
        PLAIN,
        name="csta-cnn-ntu60-xsub",
        description="CSTA-CNN across subjects of NTU RGB+D 60 (Wang 2019, section 3.1, table 2)",
        architecture="csta_cnn",
        options={"dropout": 0.5},  # HCN's
        # Coordinates as they are: the paper speaks of no alignment. How long 30 frames are means nothing.
        features=replace(NTU_300, num_frames=30, window_s=3.0, normalisation="camera"),
        variation=Variation(fill="scatter", crop=(0.9, 1.0)),
        repeats=8,
        epochs=60,  # with eight copies, the 300 000 steps of HCN
        batch_size=64,  # HCN's, as Adam and its rate
        optimiser="adamw",
        learning_rate=1e-3,
        weight_decay=0.0,  # which is Adam; HCN decays the weights of one layer
        schedule="cosine",  # HCN: 1 % less every 1 000 steps, which ends at a twentieth
    )


@register("csta-cnn-ntu60-xview")
def ntu60_xview() -> SequenceRecipe:
    """Across views."""
    return replace(
        ntu60_xsub(),
        name="csta-cnn-ntu60-xview",
        description="CSTA-CNN across views of NTU RGB+D 60 (Wang 2019, section 3.1, table 2)",
        split="xview",
    )


@register("csta-cnn-uestc-cs")
def uestc_cs() -> SequenceRecipe:
    """Across subjects of UESTC, one person each, cropped to 50 to 100 %."""
    whole = ntu60_xsub()
    return replace(
        whole,
        name="csta-cnn-uestc-cs",
        description="CSTA-CNN across subjects of UESTC (Wang 2019, section 3.1, table 1)",
        data_set="uestc",
        split="cs",
        features=replace(whole.features, num_people=1),
        variation=replace(whole.variation, crop=(0.5, 1.0)),
    )


@register("csta-cnn-uestc-cv2")
def uestc_cv2() -> SequenceRecipe:
    """Across views, the second protocol."""
    return replace(
        uestc_cs(),
        name="csta-cnn-uestc-cv2",
        description="CSTA-CNN across views of UESTC, protocol II (Wang 2019, section 3.1, table 1)",
        split="cv2",
    )
