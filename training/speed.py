"""Measure recognisers and heatmaps on this machine: an exported file beside what it is to be faster than, in one run.

Machines differ, and so do two minutes on the same machine. What is compared is therefore timed turn by turn, and only
ratios of medians mean something elsewhere.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.heatmap import LEAST_WEIGHT, HeatmapConfig, Heatmaps
from models.registry import Recogniser, build
from pipeline.layouts import COCO17, NTU25, Layout
from pipeline.onnx import OnnxModel, OperatorCost, default_threads, profile
from pipeline.recognise import INPUT, OUTPUTS
from training.catalogue import FRAMES_OF_HEATMAPS, NUM_CHANNELS, NUM_CLASSES, NUM_PEOPLE
from training.export import TRACED_NT, export_onnx, to_onnx

F32 = NDArray[np.float32]
FRAMES_OF_JOINTS = 64
LOGITS = OUTPUTS[:1]
VOLUMES = ("joint", "limb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is measured on: clips of a layout and a length, by default those that a recogniser is made for."""

    layout: Layout | None = None
    num_frames: int | None = None
    num_people: int = NUM_PEOPLE
    num_clips: int = 1
    threads: int = default_threads()
    repeats: int = 15

    def __post_init__(self) -> None:
        for name in ("num_frames", "num_people", "num_clips", "threads", "repeats"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected 1 or more, got {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A recogniser with its default options and random weights: the network in torch beside its exported file.

    ``difference`` is how far any output was apart at most. Times are medians: of logits only, and of everything.
    ``operators`` are what onnxruntime spends on logits.
    """

    architecture: str
    layout: str
    num_frames: int
    export_s: float
    num_bytes: int
    difference: float
    torch_ms: float
    onnx_ms: float
    torch_explained_ms: float
    onnx_explained_ms: float
    operators: Sequence[OperatorCost]

    @property
    def ratio(self) -> float:
        """The file's time for logits as a share of the network's."""
        return self.onnx_ms / self.torch_ms

    @property
    def explained_ratio(self) -> float:
        """The same with explanations."""
        return self.onnx_explained_ms / self.torch_explained_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """One clip's volumes, drawn by the exported graph and by the usual generator: medians, and how far apart at most.

    0.01 is a pixel 3 sigma away, which rounding puts inside or outside.
    """

    volumes: str
    num_people: int
    usual_ms: float
    onnx_ms: float
    difference: float

    @property
    def ratio(self) -> float:
        """The graph's time as a share of the generator's."""
        return self.onnx_ms / self.usual_ms


def compare(architecture: str, setting: Setting) -> Comparison:
    """Export a recogniser and time it.

    Raises:
        ValueError: there is none of that name, or it knows nothing of the layout.
        ExportError: see ``export_onnx``.
    """
    model, layout, num_frames = _recogniser(architecture, setting)
    shape = {"num_people": setting.num_people, "num_joints": len(layout), "num_channels": NUM_CHANNELS}
    clips = torch.randn(setting.num_clips, num_frames, *shape.values())
    with TemporaryDirectory(prefix="marey-") as folder:
        start = time.perf_counter()
        report = export_onnx(model, Path(folder, "model.onnx"), num_frames=num_frames, **shape)
        export_s = time.perf_counter() - start
        spent_ms = _race(model, report.path, clips, setting)
        operators = profile(report.path, {INPUT: clips.numpy()}, threads=setting.threads, outputs=LOGITS)
    return Comparison(
        architecture=architecture,
        layout=layout.name,
        num_frames=num_frames,
        export_s=export_s,
        num_bytes=report.num_bytes,
        difference=report.max_difference,
        **spent_ms,
        operators=operators,
    )


def _recogniser(architecture: str, setting: Setting) -> tuple[Recogniser, Layout, int]:
    """Return a recogniser whose norms have seen something, its layout, and the number of frames."""
    torch.manual_seed(0)
    for layout in (setting.layout,) if setting.layout else (NTU25, COCO17):
        model = build(
            architecture,
            layout=layout,
            num_classes=NUM_CLASSES,
            num_channels=NUM_CHANNELS,
            num_people=setting.num_people,
        )
        draws = any(isinstance(module, Heatmaps) for module in model.modules())
        if not draws:
            break
    num_frames = setting.num_frames or (FRAMES_OF_HEATMAPS if draws else FRAMES_OF_JOINTS)
    _settle(model, torch.randn(2, num_frames, setting.num_people, len(layout), NUM_CHANNELS))
    return model.eval(), layout, num_frames


@torch.no_grad()
def _settle(model: nn.Module, clips: Tensor) -> None:
    """Give batch norms the statistics of these clips: without, what deep networks say grows beyond all accuracy.

    Channels that hardly vary in them count as average, or the first clip in which they do would break out.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = None
    model.train()(clips)
    for norm in norms:
        assert norm.running_var is not None
        norm.running_var.clamp_min_(float(norm.running_var.mean()))


def _race(model: Recogniser, path: Path, clips: Tensor, setting: Setting) -> dict[str, float]:
    feeds = {INPUT: clips.numpy()}
    logits_only = OnnxModel(path, threads=setting.threads, outputs=LOGITS)
    everything = OnnxModel(path, threads=setting.threads)
    contenders: dict[str, Callable[[], object]] = {
        "torch_ms": torch.inference_mode()(lambda: model(clips)),
        "onnx_ms": lambda: logits_only.run(feeds),
        "torch_explained_ms": torch.no_grad()(lambda: model.explain(clips)),
        "onnx_explained_ms": lambda: everything.run(feeds),
    }
    with _torch_threads(setting.threads):
        return time_in_turns(contenders, repeats=setting.repeats)


def time_in_turns(contenders: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Return the median ms of each, all run one after the other, over and over, and once more before that."""
    spent_ms: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats + 1):
        for name, contend in contenders.items():
            start = time.perf_counter()
            contend()
            spent_ms[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(times[1:]) for name, times in spent_ms.items()}


@contextmanager
def _torch_threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compare_drawings(setting: Setting) -> Iterator[Drawing]:
    """Draw a clip's joints and limbs, of one person, of two and so on: yield what each took.

    Our time includes finding the square that people fill; the generator is handed pixels.
    """
    layout = setting.layout or COCO17
    rng = np.random.default_rng(0)
    for volumes in VOLUMES:
        heatmaps = Heatmaps(layout, HeatmapConfig(volumes=volumes))
        for num_people in range(1, setting.num_people + 1):
            people = [_wanderer(layout, setting.num_frames or FRAMES_OF_HEATMAPS, rng) for _ in range(num_people)]
            yield _draw(heatmaps, np.stack(people, axis=1)[None], setting)


def _wanderer(layout: Layout, num_frames: int, rng: np.random.Generator) -> Float32[F32, "T V C"]:
    """Return someone with bones a third of a torso long or so, who wanders about stiffly: x, y, and scores of 1."""
    bones = rng.normal(scale=0.25, size=(len(layout), 2))
    bones[layout.index(layout.centre)] = 0
    pose = bones
    for _ in layout.joints:  # a joint more of each chain is where it belongs
        pose = pose[list(layout.parents)] + bones
    joints = pose + np.cumsum(rng.normal(scale=0.05, size=(num_frames, 1, 2)), axis=0)
    return np.concatenate([joints, np.ones_like(joints[..., :1])], axis=2).astype(np.float32)


@torch.no_grad()
def _draw(heatmaps: Heatmaps, clips: Float32[F32, "1 T M V C"], setting: Setting) -> Drawing:
    exported = OnnxModel(
        to_onnx(heatmaps, torch.randn(*TRACED_NT, *clips.shape[2:]), outputs=("volumes",)), threads=setting.threads
    )
    points, weights = (placed[0].numpy() for placed in heatmaps.place(torch.from_numpy(clips)))
    limbs = heatmaps.ends.t().tolist() if heatmaps.config.volumes == "limb" else ()
    config, num_people = heatmaps.config, clips.shape[2]

    def usual() -> F32:
        return draw_as_usual(points, weights, limbs=limbs, size=config.size, sigma=config.sigma)

    spent_ms = time_in_turns(
        {"usual_ms": usual, "onnx_ms": lambda: exported.run({INPUT: clips})}, repeats=setting.repeats
    )
    difference = float(np.abs(exported.run({INPUT: clips})["volumes"][0] - usual()).max())
    return Drawing(volumes=config.volumes, num_people=num_people, difference=difference, **spent_ms)


def draw_as_usual(
    points: Float32[F32, "T M V 2"],
    weights: Float32[F32, "T M V"],
    *,
    limbs: Sequence[tuple[int, int]] = (),
    size: int,
    sigma: float,
) -> Float32[F32, "J T H W"]:
    """Draw volumes as training code usually does, MMAction2's for one: a patch for each joint or limb of each frame.

    A patch reaches 3 sigma beyond what is drawn, and the brighter person counts. No limbs given, joints are drawn.
    """
    ends = limbs or [(joint, joint) for joint in range(points.shape[2])]
    volumes = np.zeros((len(ends), len(points), size, size), np.float32)
    for channel, (first, last) in enumerate(ends):
        for frame, (people, certain) in enumerate(zip(points, weights, strict=True)):
            for joints, weight in zip(people, certain, strict=True):
                if min(weight[first], weight[last]) >= LEAST_WEIGHT:
                    _draw_patch(volumes[channel, frame], joints[[first, last]], weight[[first, last]], sigma=sigma)
    return volumes


def _draw_patch(
    picture: Float32[F32, "H W"], ends: Float32[F32, "2 2"], weights: Float32[F32, " 2"], *, sigma: float
) -> None:
    """Brighten a picture by a Gaussian about a segment; where that is shorter than a pixel, about its start."""
    is_short = ((ends[1] - ends[0]) ** 2).sum() < 1
    if is_short:
        ends, weights = ends[[0, 0]], weights[[0, 0]]
    low, high = ends.min(axis=0) - 3 * sigma, ends.max(axis=0) + 3 * sigma
    left, top = (max(int(edge), 0) for edge in low)
    right, bottom = (min(int(edge) + 1, size) for edge, size in zip(high, picture.shape[::-1], strict=True))
    if left >= right or top >= bottom:
        return
    (start_x, start_y), (span_x, span_y) = ends[0], ends[1] - ends[0]
    x = np.arange(left, right, dtype=np.float32) - start_x
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - start_y
    if not is_short:
        along = np.clip((x * span_x + y * span_y) / (span_x**2 + span_y**2), 0, 1)
        x, y = x - along * span_x, y - along * span_y
    patch = picture[top:bottom, left:right]
    np.maximum(patch, np.exp((x**2 + y**2) / (-2 * sigma**2)) * weights.min(), out=patch)
