"""Every recogniser goes the whole way: trained by a recipe, exported, and asked as the service asks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.registry import names
from pipeline.bundle import Bundle
from pipeline.recognise import Recogniser
from pipeline.values import SkeletonClip
from training.bundles import export_bundle
from training.examples import divide, learned, read_sets
from training.loop import train
from training.recipe import SequenceRecipe
from training.recipes import registry as recipes
from training.runs import Run, classifier

# As little as there can be of each: the exporter takes its time.
ONE_BLOCK: Mapping[str, object] = {"base_channels": 8, "widths": (1,), "strides": (1,)}
DRAWN: Mapping[str, object] = {"base_channels": 4, "size": 16, "blocks": (1, 1, 1)}
SCALES: Mapping[str, object] = {**ONE_BLOCK, "gcn_scales": 2, "g3d_scales": 2, "windows": (3,)}
FUSED_SCALE: Mapping[str, object] = {"streams": ("joint", "bone"), "grains": ("joint", "fine"), "weights": (0.6, 0.4)}
LEAST: Mapping[str, Mapping[str, object]] = {
    **dict.fromkeys(("posec3d", "starnet3d", "x3d"), DRAWN),
    "msg3d": SCALES,
    "amanet": {**SCALES, "spatial": ("sfem",), "temporal": ("jf",), "unified": ("stfem",), **FUSED_SCALE},
    "stfnet": {**ONE_BLOCK, "mcf_blocks": (0,)},
    "am_stgcn": {**ONE_BLOCK, "attention": ((1, "t", 1),)},
    "csta_cnn": {"base_channels": 4, "num_frames": 12, "num_joints": 13, "hidden": (8,)},
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("architecture", names())
def test_a_recogniser_is_trained_exported_and_served(
    architecture: str,
    tiny_sequences: SequenceRecipe,
    data: Path,
    tmp_path: Path,
    make_clip: Callable[..., SkeletonClip],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = replace(tiny_sequences, architecture=architecture, options=LEAST.get(architecture, ONE_BLOCK), epochs=1)
    monkeypatch.setitem(recipes._RECIPES._entries, recipe.name, lambda: recipe)
    sets = read_sets(recipe, data)
    run = Run.start(tmp_path / "run", recipe.name, learned(recipe, {}, sets))
    train(run.recipe, divide(run.recipe, sets).train, run.folder, workers=0)
    bundle = export_bundle([run], [], data, tmp_path / "bundle", version="1.0.0", name="new")
    recogniser, clip = Recogniser(Bundle.open(bundle.folder), threads=1), make_clip("squat")
    np.testing.assert_allclose(recogniser.logits([clip]), classifier(run.load_model(), run.recipe)([clip]), atol=1e-4)
    (prediction,) = recogniser.recognise([clip])
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert prediction.frame_attention.sum() == pytest.approx(1, abs=1e-4)
    assert prediction.joint_attention.shape == (13,)
