"""From a run to a bundle: calibrate, choose thresholds, measure, export, and write the card."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from models.registry import Recogniser
from pipeline.bundle import CARD_FILE, MODEL_FILE, Bundle, Card, Source
from pipeline.layouts import layout_named
from training.evaluate import calibrated_temperature
from training.examples import Example, Parts, divide, read_sets
from training.export import export_onnx
from training.folds import choose_thresholds, foreign_precision, foreign_top1, judge_folds, unknown_report_rate
from training.measure import measure
from training.members import architecture_of, common_recipe, fused_model
from training.recipe import Recipe, WindowRecipe
from training.runs import Run, classifier

logger = logging.getLogger(__name__)

# Whose labels may be reported where no other data set has them to be proven on.
HOME_SET = "penn_action"
# Used for a label when no folds were trained to choose one.
UNCHECKED_THRESHOLD = 0.8
RESEARCH = "weights: research use, as the data sets they were trained on; see data"
SOURCES: Mapping[str, tuple[str, str]] = {
    "penn_action": (
        "research data set, no licence text",
        "W. Zhang, M. Zhu, K. Derpanis, From Actemes to Action, ICCV 2013",
    ),
    "nw_ucla": ("research use", "J. Wang et al., Cross-view Action Modeling, Learning and Recognition, CVPR 2014"),
    "utd_mhad": ("research use", "C. Chen, R. Jafari, N. Kehtarnavaz, UTD-MHAD, ICIP 2015"),
    "kard": ("CC BY 4.0", "S. Gaglio, G. Lo Re, M. Morana, KARD, Mendeley Data k28dtm7tr6, 2017"),
    "msr_action3d": (
        "research use",
        "W. Li, Z. Zhang, Z. Liu, Action Recognition Based on a Bag of 3D Points, CVPR workshops 2010",
    ),
    "jhmdb14": ("annotations of JHMDB", "H. Jhuang et al., Towards Understanding Action Recognition, ICCV 2013"),
}


@dataclass(frozen=True, slots=True)
class Reporting:
    """From which score each label is reported, which are never, and the figures that say why."""

    thresholds: Mapping[str, float]
    silent: tuple[str, ...]
    metrics: Mapping[str, float]


def export_bundle(
    runs: Sequence[Run], folds: Sequence[Run], data: Path, out: Path, *, version: str, name: str = ""
) -> Bundle:
    """Write a run's model, or several as one ensemble, with everything that its card says measured here and now.

    Members are calibrated and weighed on held-out groups; where nothing was held out, they count alike. The bundle is
    called as its first run's recipe unless it is given a ``name``.

    Raises:
        DataError: the run has no checkpoint, or a data set cannot be read.
        ExportError: the exported model does not agree with the trained one; what ``out`` holds is left as it is.
        ValueError: a fold left nothing out, or the runs cannot be one.

    """
    recipe = common_recipe(runs)
    parts = divide(recipe, read_sets(recipe, data))
    model = fused_model(runs, parts)
    classify = classifier(model, recipe)
    temperature = calibrated_temperature(classify, parts.calibration, recipe) if parts.calibration else 1.0
    reporting = decide_reporting(recipe, folds, data)
    metrics = measure(classify, parts, recipe, temperature=temperature)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as folder:
        model_path = _export_model(model, recipe, Path(folder) / MODEL_FILE)
        card = Card(
            name=name or recipe.name,
            version=version,
            architecture=architecture_of(runs),
            description=recipe.description,
            features=recipe.features,
            labels=recipe.class_labels,
            silent_labels=reporting.silent,
            idle_label=recipe.idle_label if isinstance(recipe, WindowRecipe) else None,
            still_motion=recipe.still_motion if isinstance(recipe, WindowRecipe) else 0.0,
            temperature=round(temperature, 4),
            thresholds=reporting.thresholds,
            compounds=recipe.compounds if isinstance(recipe, WindowRecipe) else {},
            metrics={name: round(value, 4) for name, value in {**metrics, **reporting.metrics}.items()},
            data=_sources(parts),
            licence=RESEARCH if recipe.data_sets != ("own",) else "weights: as whoever owns the clips decides",
            recipe="training/recipes: "
            + "; ".join(f"{run.recipe.name}, changes {json.dumps(dict(run.changes), default=sorted)}" for run in runs),
            commit=runs[0].commit,
            seed=recipe.seed,
            model_sha256=hashlib.sha256(model_path.read_bytes()).hexdigest(),
        )
        out.mkdir(exist_ok=True)
        model_path.replace(out / MODEL_FILE)
    (out / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    return Bundle.open(out)


def _export_model(model: Recogniser, recipe: Recipe, path: Path) -> Path:
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
    quiet = (recipe.idle_label, recipe.other_label) if isinstance(recipe, WindowRecipe) else ()
    actions = [label for label in recipe.class_labels if label not in quiet]
    if not folds or not isinstance(recipe, WindowRecipe):
        return Reporting(dict.fromkeys(actions, UNCHECKED_THRESHOLD), quiet, {})
    verdicts = judge_folds(folds, data)
    home = {label for label in recipe.labels.get(HOME_SET, {}).values() if label}
    thresholds = choose_thresholds(verdicts, actions, home=home)
    precision = foreign_precision(verdicts, thresholds)
    metrics = {f"precision_on_unseen_sets/{label}": share for label, (share, _) in sorted(precision.items())}
    metrics |= {f"top1_on_unseen_sets/{name}": share for name, share in foreign_top1(verdicts, actions).items()}
    named_unknown = unknown_report_rate(verdicts, thresholds)
    if not math.isnan(named_unknown):  # JSON has no word for it
        metrics["unknown_actions_reported"] = named_unknown
    unproven = (label for label in actions if label not in thresholds)
    return Reporting(thresholds, (*unproven, *quiet), metrics)


def _sources(parts: Parts) -> tuple[Source, ...]:
    used: dict[str, list[Example]] = {}
    for example in parts.train:
        used.setdefault(example.source.name, []).append(example)
    stated = {name: SOURCES.get(name, ("not stated", "not stated")) for name in used}
    return tuple(
        Source(name=name, licence=stated[name][0], citation=stated[name][1], sequences=len(examples))
        for name, examples in used.items()
    )
