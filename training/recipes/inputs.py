"""What the recipes of papers have in common: what a data set looks like to a network, and training with no frills."""

from pipeline.features import FeatureSpec
from training.recipe import SequenceRecipe
from training.variation import Variation

# Kinect v2 at 30 frames a second, 300 of them. ST-GCN takes coordinates as the sensor gives them; from 2s-AGCN on the
# spine is the origin of every frame, and the first frame's body stands upright.
NTU_300 = FeatureSpec(
    layout="ntu25",
    num_frames=300,
    window_s=10.0,
    num_people=2,
    channels=("x", "y", "z"),
    normalisation="moving_body",
)
# OpenPose at 30 frames a second, 300 of them: y up from 2s-AGCN on, down in ST-GCN, which trains on half the frames.
KINETICS_300 = FeatureSpec(
    layout="openpose18",
    num_frames=300,
    window_s=10.0,
    num_people=2,
    channels=("x", "y", "score"),
    normalisation="upright_frame",
)
KINETICS_150 = FeatureSpec(
    layout="openpose18",
    num_frames=150,
    window_s=5.0,
    num_people=2,
    channels=("x", "y", "score"),
    normalisation="half_frame",
)
# 48 frames sampled from anywhere: the seconds mean nothing, and pictures do not depend on where coordinates begin.
DRAWN_48 = FeatureSpec(layout="coco17", num_frames=48, window_s=3.2, num_people=2, channels=("x", "y", "score"))

REPLAYED = Variation(fill="repeat")
# ST-GCN's for Kinetics-Skeleton: 150 frames from anywhere in 300 padded with zeros, and its random moves, by up to a
# fifth of the picture, which is about the torso of somebody who is seen whole.
CHOSEN_AND_MOVED = Variation(fill="pad", drift=1.0)
# PoseC3D's: one frame out of each of 48 equal parts, and mirrored half of the time. It also crops 56 to 100 % of the
# picture, with sides of 3:4 to 4:3; as pictures are drawn about the joints here, only the changed sides are left of it.
SAMPLED = Variation(fill="sample", mirror_rate=0.5, stretch=0.14)

# Stochastic gradient descent on the official training part, and the last weights: what no paper here says otherwise.
# Nesterov's momentum is of the codes of ST-GCN, 2s-AGCN and MS-G3D; MMAction2's configurations have plain momentum.
PLAIN = SequenceRecipe(
    name="plain",
    description="What the recipes of papers begin from",
    architecture="stgcn",
    features=NTU_300,
    data_set="ntu60",
    split="xsub",
    variation=REPLAYED,
    optimiser="sgd",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="steps",
    warmup_share=0.0,
    label_smoothing=0.0,
    gradient_clip=0.0,
    average_decay=0.0,
    held_out_share=0.0,
)
