"""A recogniser for actions of one's own: what ``marey data convert`` made of a folder of clips."""

from training.recipe import WindowRecipe
from training.recipes.everyday import everyday
from training.recipes.registry import register


@register("own")
def own() -> WindowRecipe:
    """Train everyday's network on everyday's windows, for less long and with its labels filled in from the data.

    The 13 joints are those that every pose backend for people finds surely, so that a few clips go a long way. More is
    held out than of larger sets: a tenth of some dozen clips would say nothing.
    """
    base = everyday()
    return WindowRecipe(
        name="own",
        description="Actions learned from clips of one's own",
        architecture=base.architecture,
        options=base.options,
        features=base.features,
        labels={"own": {}},
        epochs=24,
        windows_per_epoch=3000,
        held_out_share=0.15,
    )
