"""Recipes for public data sets that are small enough to train on a CPU: one a data set, for any recogniser.

The recognisers are narrower and shallower than in their papers (``SIZES``), and all are trained alike, so that a table
over them compares networks and not tunings. Settings were chosen on training data alone: Northwestern-UCLA's by
training on camera 1 and judging on camera 2, the others follow it. ``docs/benchmarks.md`` is made of these.
"""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.features import FeatureSpec
from training.recipe import SequenceRecipe
from training.recipes.registry import register
from training.variation import Variation

# Seven blocks of the graph networks, three of MS-G3D's, as in the embedded model; base channels as time allows.
NARROW: Mapping[str, object] = {"base_channels": 24, "widths": (1, 1, 1, 2, 2, 4, 4), "strides": (1, 1, 1, 2, 1, 2, 1)}
SMALL_SCALES: Mapping[str, object] = {"base_channels": 24, "gcn_scales": 5, "g3d_scales": 4}
SMALL_VOLUMES: Mapping[str, object] = {"base_channels": 16, "size": 20, "sigma": 0.6}
# What each recogniser is here; ``Recipe.options`` of its benchmarks.
SIZES: Mapping[str, Mapping[str, object]] = {
    "agcn": NARROW,
    "am_stgcn": {**NARROW, "attention": ((3, "t", 1),)},
    "amanet": SMALL_SCALES,
    "csta_cnn": {},
    "ctrgcn": NARROW,
    "msg3d": SMALL_SCALES,
    "posec3d": SMALL_VOLUMES,
    "starnet3d": SMALL_VOLUMES,
    "stfnet": {**NARROW, "mcf_blocks": (3, 4, 5, 6)},
    "stgcn": NARROW,
    "stgcnpp": NARROW,
    "x3d": {"size": 20},
}
# What is quicker than the recipe's bfloat16: convolutions of one channel each have no fast code for it on a CPU.
PRECISIONS: Mapping[str, str] = {"x3d": "32-true"}
IN_3D = ("x", "y", "z")


def _benchmark(
    data_set: str, description: str, *, features: FeatureSpec, variation: Variation, epochs: int
) -> SequenceRecipe:
    """Return what all have in common; nothing is held out, for nothing is chosen."""
    return SequenceRecipe(
        name=data_set,
        description=description,
        architecture="stfnet",
        options=SIZES["stfnet"],
        features=features,
        data_set=data_set,
        variation=variation,
        epochs=epochs,
        batch_size=16,
        learning_rate=4e-3,
        weight_decay=0.02,
        label_smoothing=0.05,
        average_decay=0.995,
        precision="bf16-mixed",
        held_out_share=0.0,
    )


@register("nw_ucla")
def nw_ucla() -> SequenceRecipe:
    """Train on cameras 1 and 2, test on camera 3: turned about, for another camera sees another side."""
    return _benchmark(
        "nw_ucla",
        "Northwestern-UCLA, cameras 1 and 2 against camera 3",
        features=FeatureSpec(layout="kinect20", num_frames=32, window_s=3.0, channels=IN_3D),
        variation=Variation(crop=(0.6, 1.0), yaw_deg=60.0, pitch_deg=20.0, roll_deg=10.0, stretch=0.1),
        epochs=40,
    )


@register("utd_mhad")
def utd_mhad() -> SequenceRecipe:
    """Train on odd subjects, test on even ones; everybody faces the camera."""
    return _benchmark(
        "utd_mhad",
        "UTD-MHAD, odd subjects against even ones",
        features=FeatureSpec(layout="kinect20", num_frames=32, window_s=2.2, channels=IN_3D),
        variation=Variation(crop=(0.7, 1.0), yaw_deg=20.0, pitch_deg=15.0, roll_deg=10.0, stretch=0.2),
        epochs=80,
    )


@register("msr_action3d")
def msr_action3d() -> SequenceRecipe:
    """Train on odd subjects, test on even ones, as UTD-MHAD."""
    return replace(
        utd_mhad(),
        name="msr_action3d",
        data_set="msr_action3d",
        description="MSR-Action3D, odd subjects against even ones",
        epochs=100,
    )


@register("penn_action")
def penn_action() -> SequenceRecipe:
    """Train and test on the official halves, in 2D; clips are long, and much of them is repetition."""
    return _benchmark(
        "penn_action",
        "Penn Action, official split, skeletons alone",
        features=FeatureSpec(layout="penn13", num_frames=48, window_s=3.0),
        variation=Variation(crop=(0.5, 1.0), roll_deg=10.0, stretch=0.2, mirror_rate=0.5, jitter=0.01, lost_joints=0.2),
        epochs=30,
    )


@register("jhmdb14")
def jhmdb14() -> SequenceRecipe:
    """Train and test on the first official split, in 2D; the other two by ``--set split=2`` and 3."""
    return replace(
        penn_action(),
        name="jhmdb14",
        data_set="jhmdb14",
        split="1",
        description="JHMDB-14, three official splits",
        features=FeatureSpec(layout="penn13", num_frames=32, window_s=1.4),
        epochs=60,
    )
