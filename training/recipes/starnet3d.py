"""3D-STARNET as its paper trains it: Yang et al. 2024, section 4.2 (see ``models.starnet3d``).

Printed are stochastic gradient descent, 30 epochs, rate, momentum, decay, clipping, the repeated data set and pictures
of 48 x 56 x 56, in MMAction2. Everything else is what MMAction2 has for PoseC3D.
"""

from dataclasses import replace

from training.recipe import SequenceRecipe
from training.recipes.inputs import DRAWN_48, PLAIN, SAMPLED
from training.recipes.registry import register


@register("starnet3d-ntu120-12")
def ntu120_12() -> SequenceRecipe:
    """Twelve actions of NTU RGB+D 120, as poses found in the videos; how they are parted is not said: by subject."""
    return replace(
        PLAIN,
        name="starnet3d-ntu120-12",
        description="3D-STARNET on twelve actions of NTU RGB+D 120 (Yang et al. 2024, section 4.2, table 2)",
        architecture="starnet3d",
        data_set="ntu120-12",
        split="xsub",
        features=DRAWN_48,
        variation=SAMPLED,
        epochs=30,
        repeats=10,  # MMAction2's for PoseC3D: the paper names RepeatDataset, but not how often
        batch_size=16,  # MMAction2's for one device: the paper has one
        learning_rate=0.01,
        nesterov=False,
        schedule="cosine",  # MMAction2's for PoseC3D
        weight_decay=3e-4,
        gradient_clip=40.0,
    )


@register("starnet3d-ucf101")
def ucf101() -> SequenceRecipe:
    """UCF-101, as poses found in the videos."""
    return replace(
        ntu120_12(),
        name="starnet3d-ucf101",
        description="3D-STARNET on UCF-101 (Yang et al. 2024, section 4.2, table 2)",
        data_set="ucf101",
        split="1",  # the table's "split1"
    )
