import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.bundle import DEFAULT_MODEL, find_bundles
from pipeline.layouts import COCO17
from pipeline.recognise import Recogniser
from pipeline.values import Frame, Poses, SkeletonClip
from service.metrics import Metrics
from service.streams.batching import BatchedEngines, BatchedPose, BatchedRecogniser, Batcher


class Doubling:
    """Doubles numbers, and refuses negative ones; each run waits for ``gate``."""

    def __init__(self):
        self.gate, self.entered = threading.Event(), threading.Event()
        self.batches = []

    def __call__(self, kind, items):
        self.entered.set()
        self.gate.wait()
        self.batches.append((kind, list(items)))
        if any(item < 0 for item in items):
            raise ValueError("negative")
        return [2 * item for item in items]


@pytest.fixture
def network():
    return Doubling()


@pytest.fixture
def callers():
    with ThreadPoolExecutor(10) as threads:
        yield threads


def ask_while_busy(batcher, network, callers, calls):
    """Let calls queue up, in order, behind one that is being run."""
    first = callers.submit(batcher.ask, "first", [0])
    network.entered.wait()
    answers = []
    for kind, items in calls:
        answers.append(callers.submit(batcher.ask, kind, items))
        while len(batcher._waiting) < len(answers):
            pass
    network.gate.set()
    first.result()
    network.batches.pop(0)
    return answers


def test_all_that_waits_is_run_together_and_everybody_gets_their_own(network, callers):
    batcher = Batcher(network, largest=8)
    answers = ask_while_busy(batcher, network, callers, [("a", [1]), ("a", [2, 3]), ("a", [4])])
    assert [answer.result() for answer in answers] == [[2], [4, 6], [8]]
    assert network.batches == [("a", [1, 2, 3, 4])]


def test_a_batch_is_of_one_kind_and_no_larger_than_allowed_and_the_longest_waiting_comes_first(network, callers):
    batcher = Batcher(network, largest=3)
    calls = [("a", [1, 1]), ("b", [2]), ("a", [3, 3]), ("a", [4]), ("b", [5]), ("a", [6, 6, 6, 6])]
    answers = ask_while_busy(batcher, network, callers, calls)
    assert [answer.result()[0] for answer in answers] == [2, 4, 6, 8, 10, 12]
    assert network.batches == [("a", [1, 1, 4]), ("b", [2, 5]), ("a", [3, 3]), ("a", [6, 6, 6, 6])]


def test_an_error_reaches_those_whose_fault_it_is(network, callers):
    batcher = Batcher(network, largest=8)
    good, bad, other = ask_while_busy(batcher, network, callers, [("a", [1]), ("a", [2, -1]), ("a", [3])])
    assert (good.result(), other.result()) == ([2], [6])
    with pytest.raises(ValueError, match="negative"):
        bad.result()


def test_nothing_asked_is_nothing_run(network):
    assert Batcher(network, largest=8).ask("a", []) == []
    assert network.batches == []


class Counting:
    """A backend that says how many pictures it got at once, and who was where in them."""

    name, layout, max_side, detect_every = "counting", COCO17, 64, 3

    def __init__(self, *, needs_boxes):
        self.needs_boxes = needs_boxes
        self.sizes = []

    def find(self, frames):
        self.sizes.append(len(frames))
        return [poses_at(float(frame.image[0, 0, 0])) for frame in frames]

    def follow(self, frames, boxes_xyxy):
        self.sizes.append(-len(frames))
        return [poses_at(float(boxes[0, 0])) for boxes in boxes_xyxy]


def poses_at(x):
    return Poses(
        np.full((1, 17, 2), x, np.float32),
        np.ones((1, 17), np.float32),
        np.full((1, 4), x, np.float32),
        np.ones(1, np.float32),
        np.full(1, -1),
    )


@pytest.mark.parametrize("needs_boxes", [True, False])
def test_a_batched_backend_answers_as_the_backend_itself_does(needs_boxes, callers):
    backend = Counting(needs_boxes=needs_boxes)
    batched = BatchedPose(backend)
    for name in ("name", "layout", "max_side", "detect_every", "needs_boxes"):
        assert getattr(batched, name) == getattr(backend, name)
    frames = [Frame(np.full((4, 4, 3), value, np.uint8), 0, 0.0) for value in range(20)]
    boxes = [np.full((1, 4), value, np.float32) for value in range(20)]
    found = callers.map(lambda frame: batched.find([frame]), frames)
    followed = callers.map(lambda frame, box: batched.follow([frame], [box]), frames, boxes)
    assert [poses.keypoints[0, 0, 0] for (poses,) in found] == list(range(20))
    assert [poses.keypoints[0, 0, 0] for (poses,) in followed] == list(range(20))
    if not needs_boxes:
        assert {abs(size) for size in backend.sizes} == {1}


def test_an_engine_is_batched_once_and_forgotten_with_it(make_engine):
    batched = BatchedEngines(Metrics())
    engine, other = make_engine("one"), make_engine("two")
    shared = batched.of(engine)
    assert batched.of(engine) is shared
    assert batched.of(other) is not shared
    assert shared.recogniser.card is engine.recogniser.card
    del engine
    assert len(batched._batched) == 1


def test_a_window_is_judged_alike_alone_and_in_a_batch(callers, rng):
    recogniser = Recogniser(find_bundles()[DEFAULT_MODEL])
    batched = BatchedRecogniser(recogniser, saw_batch=lambda size: None)
    clips = [somebody(rng) for _ in range(12)]
    together = callers.map(lambda clip: batched.recognise([clip], explain=False), clips)
    for clip, (prediction,) in zip(clips, together, strict=True):
        (alone,) = recogniser.recognise([clip], explain=False)
        np.testing.assert_allclose(prediction.probabilities, alone.probabilities, atol=1e-6)


def somebody(rng):
    times_s = np.arange(30) / 15
    walk = np.cumsum(rng.normal(0, 4, (30, 1, 17, 2)), axis=0) + rng.uniform(100, 300, (1, 1, 17, 2))
    scores = np.ones((30, 1, 17), np.float32)
    ids = np.ones(1, np.int64)
    return SkeletonClip(
        walk.astype(np.float32), scores, times_s, ids, COCO17, start_s=0.0, end_s=2.0, size_wh=(640, 480)
    )
