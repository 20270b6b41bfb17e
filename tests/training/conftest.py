"""Stick figures in motion, small skeleton sets of them in the forms of real ones, and a recipe for them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models import registry as architectures
from models.registry import Recogniser, Task
from pipeline.features import FeatureSpec
from pipeline.layouts import PENN13, Layout
from pipeline.values import SkeletonClip
from training.datasets.registry import reader_named, reader_names
from training.datasets.skeleton_set import SkeletonSet
from training.recipe import SequenceRecipe, WindowRecipe
from training.recipes import registry as recipes

F32 = NDArray[np.float32]

# Where the joints of somebody who faces the camera are, in torsos about the hips, y down.
MIDDLE = {"head": -1.45, "neck": -1.1, "spine_shoulder": -1.0, "torso": -0.5, "pelvis": 0.0, "spine": -0.5}
LEFT = {
    "shoulder": (0.35, -1.0),
    "elbow": (0.45, -0.5),
    "wrist": (0.5, 0.0),
    "hand": (0.5, 0.05),
    "hip": (0.18, 0.0),
    "knee": (0.2, 0.85),
    "ankle": (0.2, 1.7),
    "foot": (0.22, 1.75),
}
PENN_JOINTS = tuple(joint.replace("left_", "l_").replace("right_", "r_") for joint in PENN13.joints)
KARD_JOINTS = (
    *("head", "neck", "r_shoulder", "r_elbow", "r_hand", "l_shoulder", "l_elbow", "l_hand", "torso"),
    *("r_hip", "r_knee", "r_foot", "l_hip", "l_knee", "l_foot"),
)


@dataclass(frozen=True, slots=True)
class PoolingConfig:
    width: int = 16


class Pooling(Recogniser):
    """A recogniser that is quick to train and to export: where joints are on average, and how far they go."""

    def __init__(self, task: Task, config: PoolingConfig) -> None:
        super().__init__()
        num_inputs = len(task.layout) * task.num_channels
        self.norm = nn.BatchNorm1d(2 * num_inputs)
        self.hidden = nn.Linear(2 * num_inputs, config.width)
        self.dropout = nn.Dropout(0.3)
        self.classify = nn.Linear(config.width, task.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        joints = x[:, :, 0].flatten(2)  # [N, T, V*C]
        mean = joints.mean(dim=1)
        spread = (joints - mean.unsqueeze(1)).square().mean(dim=1)
        hidden = torch.tanh(self.hidden(self.norm(torch.cat([mean, spread], dim=1))))
        return self.classify(self.dropout(hidden))


def joint_at_rest(name: str) -> tuple[float, float]:
    side, _, joint = name.replace("l_", "left_").replace("r_", "right_").partition("_")
    if side in ("left", "right"):
        x, y = LEFT[joint]
        return (x if side == "left" else -x), y
    return 0.0, MIDDLE[name]


def make_figure(
    action: str, joints: Sequence[str], *, num_frames: int = 60, fps: float = 30.0, phase: float = 0.0
) -> F32:
    """Return [T, V, 2] of somebody who squats, does jumping jacks, waves, walks, or else swings both arms across."""
    frames = np.tile(np.array([joint_at_rest(joint) for joint in joints], np.float32), (num_frames, 1, 1))
    swing = np.sin(2 * np.pi * (np.arange(num_frames) / fps + phase))[:, None]
    arms = [place for place, joint in enumerate(joints) if joint.split("_")[-1] in ("elbow", "wrist", "hand")]
    above = [place for place, joint in enumerate(joints) if joint.split("_")[-1] not in ("knee", "ankle", "foot")]
    lefts = [place for place in arms if joints[place].startswith("l")]
    if action == "squat":
        frames[:, above, 1] += 0.3 * (1 + swing)
    elif action == "jumping_jacks":
        frames[:, arms, 1] -= 0.8 * (1 + swing)
    elif action == "wave":
        frames[:, lefts, 1] -= 1.0
        frames[:, lefts, 0] += 0.4 * swing
    elif action == "walk":
        frames[:, :, 0] += np.linspace(0, 3, num_frames, dtype=np.float32)[:, None]
    else:
        frames[:, arms, 0] += 0.6 * swing
    return frames


def write_npz(
    path: Path,
    frames: Sequence[F32],
    classes: Sequence[str],
    truth: Sequence[str],
    joints: Sequence[str],
    **more: object,
) -> Path:
    np.savez(
        path,
        x=np.concatenate(frames).astype(np.float32),
        offsets=np.cumsum([0, *map(len, frames)]),
        y=np.array([list(classes).index(label) for label in truth]),
        classes=np.array(classes),
        joints=np.array(joints),
        **more,  # type: ignore[arg-type]  # arrays
    )
    return path


def write_penn_action(folder: Path, actions: Sequence[str], *, each: int = 8, num_frames: int = 60) -> Path:
    """Write sequences as Penn Action has them: sides exchanged, px, a visibility, half of them official tests."""
    truth = [action for action in actions for _ in range(each)]
    exchanged = [{"l": "r", "r": "l"}.get(name[0], name[0]) + name[1:] if "_" in name else name for name in PENN_JOINTS]
    figures = [
        make_figure(action, exchanged, num_frames=num_frames, phase=0.37 * place) for place, action in enumerate(truth)
    ]
    frames = [
        np.concatenate([300 + 80 * figure, np.ones_like(figure[..., :1])], axis=-1).astype(np.float32)
        for figure in figures
    ]
    return write_npz(
        folder / "penn_action.npz",
        frames,
        actions,
        truth,
        PENN_JOINTS,
        train=np.arange(len(truth)) % 2 == 0,
        ids=np.array([f"{5 * place + 1:04}" for place in range(len(truth))]),
    )


def write_kard(folder: Path, actions: Mapping[str, str], *, people: int = 6, num_frames: int = 60) -> Path:
    """Write one sequence an action and person as KARD has them: image coordinates, then mm with y up."""
    truth = [action for action in actions for _ in range(people)]
    frames = []
    for place, action in enumerate(truth):
        figure = 400 * make_figure(actions[action], KARD_JOINTS, num_frames=num_frames, phase=0.29 * place)
        depth = np.full_like(figure[..., :1], 2500)
        frames.append(np.concatenate([figure, depth, figure * np.array([1, -1], np.float32), depth], axis=-1))
    subjects = np.array([1 + place % people for place in range(len(truth))])
    return write_npz(folder / "kard.npz", frames, list(actions), truth, KARD_JOINTS, subject=subjects)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors are quicker on one thread, and always added up in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., SkeletonClip]:
    """Make a clip of somebody in motion: px in 2D, metres in 3D."""

    def make(
        action: str = "wave", *, num_frames: int = 60, fps: float = 30.0, layout: Layout = PENN13, num_axes: int = 2
    ) -> SkeletonClip:
        figure = make_figure(action, layout.joints, num_frames=num_frames, fps=fps)
        keypoints = 300 + 80 * figure
        if num_axes == 3:
            keypoints = np.concatenate([0.4 * figure, np.full_like(figure[..., :1], 2.5)], axis=-1)
        return SkeletonClip(
            keypoints[:, None].astype(np.float32),
            np.ones((num_frames, 1, len(layout)), np.float32),
            np.arange(num_frames) / fps,
            np.zeros(1, np.int64),
            layout,
            start_s=0.0,
            end_s=num_frames / fps,
        )

    return make


@pytest.fixture(scope="session")
def write_set() -> Callable[..., Path]:
    """Write arrays as a skeleton set file; those that are not given are as they should be, None leaves one out."""

    def write(path: Path, **given: object) -> Path:
        arrays: dict[str, object] = {
            "x": np.ones((7, 13, 3), np.float32),
            "offsets": np.array([0, 3, 7]),
            "y": np.array([0, 1]),
            "classes": np.array(["wave", "jump"]),
            "joints": np.array(PENN_JOINTS),
            "train": np.array([True, False]),
            "ids": np.array(["0001", "0002"]),
        }
        arrays |= given
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small penn_action.npz and a small kard.npz."""
    folder = tmp_path_factory.mktemp("data")
    write_penn_action(folder, ("squat", "jumping_jacks", "golf_swing"))
    write_kard(folder, {"two_hand_wave": "wave", "walk": "walk", "bend": "squat", "drink": "golf_swing"})
    return folder


@pytest.fixture(scope="session")
def tiny() -> WindowRecipe:
    """A recipe for the sets in ``data`` with a network that needs no time; "bend" is left out, "drink" is other."""
    return WindowRecipe(
        name="tiny",
        description="Stick figures",
        architecture="pooling",
        options={"width": 24},
        features=FeatureSpec(layout="penn13", num_frames=12, window_s=2.0),
        labels={
            "penn_action": {name: name for name in ("squat", "jumping_jacks", "golf_swing")},
            "kard": {"two_hand_wave": "wave", "walk": "walk", "bend": None},
        },
        repeated=frozenset({"jumping_jacks"}),
        strummed=frozenset({"golf_swing"}),
        epochs=2,
        windows_per_epoch=96,
        batch_size=16,
        learning_rate=0.01,
    )


@pytest.fixture(scope="session")
def tiny_sequences() -> SequenceRecipe:
    """A recipe for the classes of penn_action.npz in ``data``, whole sequences of them, with the same network."""
    return SequenceRecipe(
        name="tiny_sequences",
        description="Whole stick figures",
        architecture="pooling",
        features=FeatureSpec(layout="penn13", num_frames=12, window_s=2.0),
        data_set="penn_action",
        epochs=2,
        batch_size=4,
        learning_rate=0.01,
        held_out_share=0.3,
    )


@pytest.fixture(scope="module", autouse=True)
def tiny_ones_are_registered(tiny: WindowRecipe, tiny_sequences: SequenceRecipe) -> Iterator[None]:
    """Let commands and runs find the recipes and their network by their names."""
    with pytest.MonkeyPatch.context() as patch:
        pooling = architectures._Entry(Pooling, PoolingConfig, ("width",))
        patch.setitem(architectures._ENTRIES._entries, "pooling", pooling)
        patch.setitem(recipes._RECIPES._entries, tiny.name, lambda: tiny)
        patch.setitem(recipes._RECIPES._entries, tiny_sequences.name, lambda: tiny_sequences)
        yield


@pytest.fixture(scope="session")
def read_real(shared: Path) -> Callable[[str], SkeletonSet]:
    """Read a real data set by name, once, in its own layout."""
    folder, known = shared / "data", {}

    def read(name: str) -> SkeletonSet:
        if name not in known:
            path = folder / f"{name}.npz"
            if not path.exists():
                pytest.skip(f"needs {name}.npz: this would have checked the test's claim on the real data set")
            known[name] = reader_named(name)(path)
        return known[name]

    return read


@pytest.fixture(params=reader_names())
def real_set(request: pytest.FixtureRequest, read_real: Callable[[str], SkeletonSet]) -> SkeletonSet:
    """Each real data set in turn."""
    return read_real(request.param)
