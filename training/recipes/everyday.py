"""The embedded recogniser: sports and everyday actions in ordinary video, from any backend that finds COCO's joints.

Equal actions of five data sets are merged under one label. Everything else that those sets show is "other"; "idle" is
made by holding poses still. Which everyday actions are reported is decided by leaving whole data sets out:
docs/everyday.md.
"""

from dataclasses import replace

from pipeline.features import FeatureSpec
from training.augment import Augmentation
from training.recipe import WindowRecipe
from training.recipes.registry import register

PENN_ACTIONS = (
    "baseball_pitch",
    "baseball_swing",
    "bench_press",
    "bowl",
    "clean_and_jerk",
    "golf_swing",
    "jump_rope",
    "jumping_jacks",
    "pullup",
    "pushup",
    "situp",
    "squat",
    "strum_guitar",
    "tennis_forehand",
    "tennis_serve",
)

LABELS: dict[str, dict[str, str | None]] = {
    "penn_action": {name: name for name in PENN_ACTIONS},
    "nw_ucla": {
        "pick_up_with_one_hand": "pick_up",
        "pick_up_with_two_hands": "pick_up",
        "walk_around": "walk",
        "carry": "walk",
        "drop_trash": None,  # people walk to a bin, and that is most of it
        "sit_down": "sit_down",
        "stand_up": "stand_up",
        "throw": "throw",
    },
    "utd_mhad": {
        "wave": "wave",
        "clap": "clap",
        "throw": "throw",
        "bowling": "bowl",
        "baseball_swing": "baseball_swing",
        "tennis_swing": "tennis_forehand",
        "tennis_serve": "tennis_serve",
        "squat": "squat",
        "jog": "run",
        "walk": "walk",
        "sit_to_stand": "stand_up",
        "stand_to_sit": "sit_down",
        "pickup_and_throw": None,  # two actions at once
    },
    "kard": {
        "horizontal_arm_wave": "wave",
        "high_arm_wave": "wave",
        "two_hand_wave": "wave",
        "high_throw": "throw",
        "toss_paper": "throw",
        "forward_kick": "kick",
        "side_kick": "kick",
        "hand_clap": "clap",
        "walk": "walk",
        "sit_down": "sit_down",
        "stand_up": "stand_up",
        "bend": None,  # looks like picking something up
    },
    "msr_action3d": {
        "high_arm_wave": "wave",
        "horizontal_arm_wave": "wave",
        "two_hand_wave": "wave",
        "high_throw": "throw",
        "hand_clap": "clap",
        "forward_kick": "kick",
        "side_kick": "kick",
        "jogging": "run",
        "tennis_swing": "tennis_forehand",
        "tennis_serve": "tennis_serve",
        "golf_swing": "golf_swing",
        "bend": None,  # looks like picking something up
        "pickup_and_throw": None,  # two actions at once
    },
    "jhmdb14": {
        "clap": "clap",
        "golf": "golf_swing",
        "pick": "pick_up",
        "pullup": "pullup",
        "run": "run",
        "sit": "sit_down",
        "stand": "stand_up",
        "throw": "throw",
        "walk": "walk",
        "wave": "wave",
    },
}

REPEATED = frozenset(
    {
        "bench_press",
        "clap",
        "jump_rope",
        "jumping_jacks",
        "pullup",
        "pushup",
        "situp",
        "squat",
        "strum_guitar",
        "wave",
    }
)

# Somebody may well throw while walking, walk with a bag in hand, and squat with arms wherever they like.
ARM_ACTIONS = frozenset(
    {"baseball_pitch", "clap", "pick_up", "strum_guitar", "tennis_forehand", "tennis_serve", "throw", "wave"}
)
LEG_ACTIONS = frozenset({"kick", "run", "sit_down", "squat", "stand_up", "walk"})
# The way down of a slow squat is that of sitting down: a window of 2.4 s may see no more of it.
COMPOUNDS = {"squat": ("sit_down", "stand_up")}
# In Northwestern-UCLA most people walk to what they pick up; others squat for it, and a clean goes through a squat.
IN_PASSING = {"clean_and_jerk": frozenset({"squat"}), "pick_up": frozenset({"squat", "walk"})}


@register("everyday")
def everyday() -> WindowRecipe:
    """STF-Net at half width on 2.4-second windows at 15 frames a second, 13 joints, one stream."""
    return WindowRecipe(
        name="everyday",
        description="15 sports and exercises of Penn Action and everyday actions, for ordinary video of people",
        architecture="stfnet",
        options={
            "base_channels": 32,
            "widths": (1, 1, 1, 2, 2, 4, 4),
            "strides": (1, 1, 1, 2, 1, 2, 1),
            "mcf_blocks": (3, 4, 5, 6),
            "dropout": 0.2,
        },
        features=FeatureSpec(layout="penn13", num_frames=36, window_s=2.4),
        labels=LABELS,
        repeated=REPEATED,
        strummed=frozenset({"strum_guitar"}),
        spliced_share=0.45,
        arm_actions=ARM_ACTIONS,
        leg_actions=LEG_ACTIONS,
        compounds=COMPOUNDS,
        in_passing=IN_PASSING,
        # From behind somebody who walks away looks like a bowler, if only bowlers were ever seen from there.
        augmentation=Augmentation(yaw_deg=120.0),
    )


@register("everyday-quick")
def everyday_quick() -> WindowRecipe:
    """Train for a few epochs, to see that everything runs."""
    return replace(everyday(), name="everyday-quick", epochs=6)
