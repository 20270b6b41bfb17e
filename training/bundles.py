"""From a run to a bundle: calibrate, choose thresholds, measure, export, and write the card."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from pipeline.bundle import CARD_FILE, MODEL_FILE, Bundle, Card, Source
from pipeline.layouts import layout_named
from training.evaluate import (
    Classifier,
    calibrated_temperature,
    calibration_error,
    each_noisy_window,
    judge_noisy,
    judge_sequences,
    judge_still,
)
from training.export import export_onnx
from training.folds import choose_thresholds, foreign_precision, judge_folds, unknown_report_rate
from training.recipe import Recipe
from training.runs import Run, classifier
from training.windows import Example, Parts, divide, read_sets

logger = logging.getLogger(__name__)

TESTED_SET = "penn_action"
# Used for a label when no folds were trained to choose one.
UNCHECKED_THRESHOLD = 0.8
SOURCES: Mapping[str, tuple[str, str]] = {
    "penn_action": (
        "research data set, no licence text",
        "W. Zhang, M. Zhu, K. Derpanis, From Actemes to Action, ICCV 2013",
    ),
    "nw_ucla": ("research use", "J. Wang et al., Cross-view Action Modeling, Learning and Recognition, CVPR 2014"),
    "utd_mhad": ("research use", "C. Chen, R. Jafari, N. Kehtarnavaz, UTD-MHAD, ICIP 2015"),
    "kard": ("CC BY 4.0", "S. Gaglio, G. Lo Re, M. Morana, KARD, Mendeley Data k28dtm7tr6, 2017"),
    "jhmdb14": ("annotations of JHMDB", "H. Jhuang et al., Towards Understanding Action Recognition, ICCV 2013"),
}


@dataclass(frozen=True, slots=True)
class Reporting:
    """From which score each label is reported, which are never, and the figures that say why."""

    thresholds: Mapping[str, float]
    silent: tuple[str, ...]
    metrics: Mapping[str, float]


def export_bundle(run: Run, folds: Sequence[Run], data: Path, out: Path, *, version: str) -> Bundle:
    """Write a run's model as a bundle, with everything that its card says measured here and now.

    Raises:
        DataError: the run has no checkpoint, or a data set cannot be read.
        ExportError: the exported model does not agree with the trained one; what ``out`` holds is left as it is.
        ValueError: a fold left nothing out.

    """
    recipe, model = run.recipe, run.load_model()
    parts = divide(recipe, read_sets(recipe, data))
    classify = classifier(model, recipe)
    temperature = calibrated_temperature(classify, parts.calibration, recipe)
    reporting = decide_reporting(recipe, folds, data)
    metrics = measure(classify, parts, recipe, temperature=temperature)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as folder:
        model_path = _export_model(model, recipe, Path(folder) / MODEL_FILE)
        card = Card(
            name=recipe.name,
            version=version,
            architecture=recipe.architecture,
            description=recipe.description,
            features=recipe.features,
            labels=recipe.class_labels,
            silent_labels=reporting.silent,
            idle_label=recipe.idle_label,
            still_motion=recipe.still_motion,
            temperature=round(temperature, 4),
            thresholds=reporting.thresholds,
            metrics={name: round(value, 4) for name, value in {**metrics, **reporting.metrics}.items()},
            data=_sources(parts),
            licence="weights: research use, as the data sets they were trained on; see data",
            recipe=f"training/recipes: {recipe.name}, changes {dict(run.changes)}",
            commit=run.commit,
            seed=recipe.seed,
            model_sha256=hashlib.sha256(model_path.read_bytes()).hexdigest(),
        )
        out.mkdir(exist_ok=True)
        model_path.replace(out / MODEL_FILE)
    (out / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return Bundle.open(out)


def _export_model(model: nn.Module, recipe: Recipe, path: Path) -> Path:
    report = export_onnx(
        model,
        path,
        num_frames=recipe.features.num_frames,
        num_people=recipe.features.num_people,
        num_joints=len(layout_named(recipe.features.layout)),
        num_channels=len(recipe.features.channels),
    )
    logger.info("exported %s, %.1f MB", recipe.name, report.num_bytes / 1e6)
    return report.path


def decide_reporting(recipe: Recipe, folds: Sequence[Run], data: Path) -> Reporting:
    """Choose thresholds and silent labels by the folds; without folds, report every action from a high score."""
    quiet = (recipe.idle_label, recipe.other_label)
    actions = [label for label in recipe.class_labels if label not in quiet]
    if not folds:
        return Reporting(dict.fromkeys(actions, UNCHECKED_THRESHOLD), quiet, {})
    verdicts = judge_folds(folds, data)
    home = {label for label in recipe.labels.get(TESTED_SET, {}).values() if label}
    thresholds = choose_thresholds(verdicts, actions, home=home)
    precision = foreign_precision(verdicts, thresholds)
    metrics = {f"precision_on_unseen_sets/{label}": share for label, (share, _) in sorted(precision.items())}
    named_unknown = unknown_report_rate(verdicts, thresholds)
    if not math.isnan(named_unknown):  # JSON has no word for it
        metrics["unknown_actions_reported"] = named_unknown
    unproven = (label for label in actions if label not in thresholds)
    return Reporting(thresholds, (*unproven, *quiet), metrics)


def measure(classify: Classifier, parts: Parts, recipe: Recipe, *, temperature: float) -> dict[str, float]:
    """Return every figure of a card that needs no folds, on official test splits and held-out groups."""
    window_s = recipe.features.window_s
    held_out = judge_sequences(
        classify, parts.calibration, recipe.class_labels, window_s=window_s, temperature=temperature
    )
    return _measure_tested(classify, parts, recipe, temperature) | {
        "held_out_groups_top1": held_out.top1(),
        "held_out_groups_calibration_error": calibration_error(held_out),
    }


def _measure_tested(classify: Classifier, parts: Parts, recipe: Recipe, temperature: float) -> dict[str, float]:
    """Measure on the official test split, less the actions that the recipe leaves out; no split, no figures."""
    labels, window_s = recipe.class_labels, recipe.features.window_s
    tested = [example for example in parts.test if _is_official(example) and example.label in labels]
    if not tested:
        return {}
    known = sorted({example.label for example in tested})
    clean = judge_sequences(classify, tested, labels, window_s=window_s, temperature=temperature)
    noisy = judge_noisy(classify, tested, labels, temperature=temperature)
    windows = each_noisy_window(classify, tested, labels, temperature=temperature)
    still = judge_still(classify, tested, recipe)
    jittery = judge_still(classify, tested, recipe, noisy=True)
    return {
        "penn_action_top1": clean.top1(among=known),
        "penn_action_top1_among_all_labels": clean.top1(),
        "penn_action_noisy_top1": noisy.top1(among=known),
        "penn_action_noisy_window_top1": windows.top1(among=known),
        "still_windows_called_idle": still.top1(),
        "still_noisy_windows_called_idle": jittery.top1(),
    }


def _is_official(example: Example) -> bool:
    return example.source.name == TESTED_SET and not example.source.train[example.index]


def _sources(parts: Parts) -> tuple[Source, ...]:
    used: dict[str, list[Example]] = {}
    for example in parts.train:
        used.setdefault(example.source.name, []).append(example)
    stated = {name: SOURCES.get(name, ("not stated", "not stated")) for name in used}
    return tuple(
        Source(name=name, licence=stated[name][0], citation=stated[name][1], sequences=len(examples))
        for name, examples in used.items()
    )
