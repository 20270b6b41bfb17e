"""The recipes of papers: settings as printed, networks that can be built, inputs that can be made of the data."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.features import make_features
from pipeline.layouts import Layout, layout_named
from pipeline.values import SkeletonClip
from training.loop import build_recogniser, learning_rate
from training.recipe import SequenceRecipe
from training.recipes.inputs import PLAIN
from training.recipes.registry import recipe_named, recipe_names
from training.sources.ntu import NTU60, NTU120, NTU120_12
from training.variation import settle, vary

# The first words of their names, and how many classes each data set has.
PAPERS = ("stfnet", "amanet", "am-stgcn", "csta-cnn", "starnet3d", "stgcn", "2s-agcn", "ms-g3d", "posec3d", "x3d")
NUM_CLASSES = {"ntu60": 60, "ntu120": 120, "ntu120-12": 12, "kinetics-skeleton": 400, "uestc": 40, "ucf101": 101}
NAMES = tuple(name for name in recipe_names() if name.startswith(tuple(f"{paper}-" for paper in PAPERS)))
OTHER_SPLITS = {"kinetics-skeleton": ("official",), "ucf101": ("1", "2", "3"), "uestc": ("cs", "cv2")}
EDITIONS = {edition.name: edition for edition in (NTU60, NTU120, NTU120_12)}


def recipe_of(name: str) -> SequenceRecipe:
    recipe = recipe_named(name)
    assert isinstance(recipe, SequenceRecipe)
    return recipe


def test_every_paper_has_recipes_for_all_its_data_sets() -> None:
    of_papers: dict[str, set[str]] = {paper: set() for paper in PAPERS}
    for name in NAMES:
        of_papers[next(paper for paper in PAPERS if name.startswith(f"{paper}-"))].add(recipe_of(name).data_set)
    assert of_papers["stfnet"] == of_papers["amanet"] == {"ntu60", "ntu120", "kinetics-skeleton"}
    assert of_papers["am-stgcn"] == {"ntu60", "kinetics-skeleton"}
    assert of_papers["csta-cnn"] == {"uestc", "ntu60"}
    assert of_papers["starnet3d"] == {"ntu120-12", "ucf101"}
    assert all(of_papers.values())


@pytest.mark.parametrize("name", NAMES)
def test_its_name_says_what_it_is_for_and_its_description_where_it_is_from(name: str) -> None:
    recipe = recipe_of(name)
    assert recipe.data_set.removesuffix("-skeleton") in name
    assert name.endswith(recipe.split) or recipe.split in ("official", "1", "xsub")
    assert "et al. 20" in recipe.description or "Wu et al." in recipe.description or "Wang 2019" in recipe.description


@pytest.mark.parametrize("name", NAMES)
def test_its_split_is_one_that_converted_data_have(name: str) -> None:
    recipe = recipe_of(name)
    edition = EDITIONS.get(recipe.data_set)
    assert recipe.split in (edition.trains if edition else OTHER_SPLITS[recipe.data_set])


@pytest.mark.parametrize("name", NAMES)
def test_its_network_can_be_built_for_its_skeleton_and_classes(name: str) -> None:
    recipe = recipe_of(name)
    num_classes = NUM_CLASSES[recipe.data_set]
    with torch.device("meta"):
        model = build_recogniser(replace(recipe, classes=tuple(f"class_{number}" for number in range(num_classes))))
    features = recipe.features
    shape = (2, 30, features.num_people, len(layout_named(features.layout)), len(features.channels))
    with torch.no_grad():
        assert model.to("meta").eval()(torch.empty(shape, device="meta")).shape == (2, num_classes)


def recorded(recipe: SequenceRecipe, num_frames: int) -> SkeletonClip:
    """Return somebody who sways, in the layout and the units that the data set is converted to."""
    drawn, in_space = recipe.features.layout == "coco17", "z" in recipe.features.channels
    layout: Layout = layout_named(recipe.features.layout)
    rng = np.random.default_rng(num_frames)
    at_rest = rng.uniform(0.2, 0.8, (1, 1, len(layout), 3 if in_space else 2))
    swaying = at_rest + 0.05 * np.sin(np.arange(num_frames) / 5)[:, None, None, None]
    people = np.concatenate([swaying, swaying + 0.4], axis=1) * (1 if in_space else 200)
    return SkeletonClip(
        people.astype(np.float32),
        np.full(people.shape[:3], 0.9, np.float32),
        np.arange(num_frames) / 30,
        np.arange(2),
        layout,
        start_s=0.0,
        end_s=num_frames / 30,
        size_wh=None if in_space or drawn else (340, 256),
    )


@pytest.mark.parametrize("num_frames", [20, 400])
@pytest.mark.parametrize("name", NAMES)
def test_sequences_of_any_length_become_inputs_of_its_shape(name: str, num_frames: int) -> None:
    recipe = recipe_of(name)
    spec, clip = recipe.features, recorded(recipe, num_frames)
    trained = vary(clip, recipe.variation, np.random.default_rng(0), spec=spec)
    for one in (trained, settle(clip, recipe.variation, spec=spec)):
        features = make_features(one, spec)
        values = features.values
        assert features.mask.all() or recipe.variation.fill == "pad"
        assert values.shape == (spec.num_frames, spec.num_people, len(layout_named(spec.layout)), len(spec.channels))
        assert np.isfinite(values).all()
        assert np.abs(values).sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_has_none_of_our_own_finesse(name: str) -> None:
    recipe = recipe_of(name)
    for setting in ("warmup_share", "label_smoothing", "average_decay", "held_out_share", "precision", "seed"):
        assert getattr(recipe, setting) == getattr(PLAIN, setting)
    assert (recipe.warmup_share, recipe.label_smoothing, recipe.average_decay, recipe.held_out_share) == (0, 0, 0, 0)


# Optimiser, rate, decay, batch, epochs, milestones.
PRINTED = {
    "stfnet-ntu60-xsub": ("sgd", 0.1, 1e-4, 32, 65, (30, 40)),
    "stfnet-ntu120-xset": ("sgd", 0.1, 1e-4, 32, 65, (30, 40)),
    "stfnet-kinetics": ("sgd", 0.1, 1e-4, 32, 65, (30, 55)),
    "amanet-ntu60-xview": ("sgd", 0.05, 5e-4, 32, 50, (30, 40)),
    "amanet-ntu120-xsub": ("sgd", 0.05, 5e-4, 32, 60, (30, 50)),
    "amanet-kinetics": ("sgd", 0.05, 5e-4, 32, 65, (45, 55)),
    "am-stgcn-kinetics": ("sgd", 0.1, 1e-4, 256, 50, (20, 30, 40)),
    "am-stgcn-ntu60-xsub": ("sgd", 0.1, 1e-4, 64, 80, (10, 50)),
    "2s-agcn-ntu60-xsub": ("sgd", 0.1, 1e-4, 64, 50, (30, 40)),
    "2s-agcn-kinetics": ("sgd", 0.1, 1e-4, 128, 65, (45, 55)),
    "ms-g3d-ntu60-xsub": ("sgd", 0.05, 5e-4, 32, 50, (30, 40)),
    "ms-g3d-ntu120-xset": ("sgd", 0.05, 5e-4, 32, 60, (30, 50)),
    "ms-g3d-kinetics": ("sgd", 0.1, 3e-4, 128, 65, (45, 55)),
    "starnet3d-ucf101": ("sgd", 0.01, 3e-4, 16, 30, ()),
    "posec3d-ntu60-xsub": ("sgd", 0.4, 3e-4, 256, 24, ()),
    "x3d-ntu60-xsub": ("sgd", 0.4, 3e-4, 256, 24, ()),
    "csta-cnn-uestc-cs": ("adamw", 1e-3, 0.0, 64, 60, ()),
}


@pytest.mark.parametrize("name", PRINTED)
def test_settings_are_those_of_the_paper(name: str) -> None:
    recipe = recipe_of(name)
    settings = ("optimiser", "learning_rate", "weight_decay", "batch_size", "epochs", "milestones")
    assert tuple(getattr(recipe, setting) for setting in settings) == PRINTED[name]
    assert recipe.momentum == 0.9
    assert recipe.schedule == ("steps" if recipe.milestones else "cosine")


def test_stf_nets_rate_is_divided_by_ten_at_its_milestones() -> None:
    recipe = recipe_of("stfnet-ntu60-xsub")
    rates = [learning_rate(recipe, epoch / 65) for epoch in (0, 29.9, 30, 39.9, 40, 64.9)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_ntus_sequences_are_replayed_to_300_frames_and_kineticss_cut_to_150() -> None:
    for name in ("stfnet-ntu60-xsub", "amanet-ntu60-xsub", "amanet-kinetics", "ms-g3d-kinetics"):
        recipe = recipe_of(name)
        assert (recipe.features.num_frames, recipe.features.window_s, recipe.variation.fill) == (300, 10.0, "repeat")
    for name in ("stfnet-kinetics", "am-stgcn-kinetics", "2s-agcn-kinetics"):
        recipe = recipe_of(name)
        assert (recipe.features.num_frames, recipe.features.num_people, recipe.variation.fill) == (150, 2, "pad")
        assert recipe.variation.drift > 0


def test_csta_cnn_sees_thirty_frames_eight_times_half_of_them_drawn_from_anywhere() -> None:
    on_ntu, on_uestc = recipe_of("csta-cnn-ntu60-xsub"), recipe_of("csta-cnn-uestc-cv2")
    for recipe, crop in ((on_ntu, (0.9, 1.0)), (on_uestc, (0.5, 1.0))):
        assert (recipe.features.num_frames, recipe.repeats, recipe.variation.fill) == (30, 8, "scatter")
        assert recipe.variation.crop == crop
        assert recipe.features.channels == ("x", "y", "z")


def test_starnet_samples_48_frames_of_the_repeated_set_and_clips_gradients_at_40() -> None:
    for name in ("starnet3d-ntu120-12", "starnet3d-ucf101", "posec3d-ntu60-xsub"):
        recipe = recipe_of(name)
        assert (recipe.features.num_frames, recipe.repeats, recipe.gradient_clip) == (48, 10, 40.0)
        assert (recipe.variation.fill, recipe.variation.mirror_rate) == ("sample", 0.5)


def test_am_stgcn_differs_from_st_gcn_in_the_network_only() -> None:
    for theirs, ours in (("stgcn-kinetics", "am-stgcn-kinetics"), ("stgcn-ntu60-xview", "am-stgcn-ntu60-xview")):
        changed = {"name": "", "description": "", "architecture": ""}
        assert replace(recipe_of(theirs), **changed) == replace(recipe_of(ours), **changed)
