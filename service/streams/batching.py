"""One worker a shared network: it runs all that the streams have waiting as one batch, and hands the answers out.

Nothing waits for a batch to fill. A stream waits for its answer before it asks again, so the order in which calls came
in is fair. What a stream gets does not depend on who else is there, and what fails for one fails for nobody else.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from jaxtyping import Float32

from pipeline.actions import Options
from pipeline.bundle import Bundle, Card
from pipeline.engine import Engine
from pipeline.layouts import Layout
from pipeline.live import LiveStream
from pipeline.pose import PoseBackend
from pipeline.recognise import LARGEST_BATCH, Recogniser
from pipeline.values import F32, Frame, Poses, Prediction, SkeletonClip
from service.metrics import Metrics

# Backends that look at whole pictures take them one by one: together, all would wait for the last one's answer.
LARGEST_POSE_BATCH, ONE_BY_ONE = 8, 1

Kind = TypeVar("Kind")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class _Call(Generic[Kind, Item, Answer]):
    """What one caller asks, and where it waits for the answers."""

    kind: Kind
    items: Sequence[Item]
    answers: "Future[Sequence[Answer]]" = field(default_factory=Future)


class Batcher(Generic[Kind, Item, Answer]):
    """Run ``run`` in one thread on what callers in many threads ask: calls of one kind, ``largest`` items together."""

    def __init__(
        self,
        run: Callable[[Kind, Sequence[Item]], Sequence[Answer]],
        *,
        largest: int,
        saw_batch: Callable[[int], None] | None = None,
    ) -> None:
        self._run, self._largest, self._saw_batch = run, largest, saw_batch
        self._waiting: deque[_Call[Kind, Item, Answer]] = deque()
        self._lock = threading.Lock()
        # It ends by itself with the batcher.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batch")

    def ask(self, kind: Kind, items: Sequence[Item]) -> list[Answer]:
        """Return an answer for each item, in order; blocks, and raises what ``run`` raises for these items."""
        if not items:
            return []
        call: _Call[Kind, Item, Answer] = _Call(kind, items)
        with self._lock:
            self._waiting.append(call)
        self._worker.submit(self._work)
        return list(call.answers.result())

    def _work(self) -> None:
        if batch := self._take():  # an earlier turn may have taken it along
            if self._saw_batch:
                self._saw_batch(sum(len(call.items) for call in batch))
            self._serve(batch)

    def _serve(self, batch: Sequence[_Call[Kind, Item, Answer]]) -> None:
        try:
            answers = self._run(batch[0].kind, [item for call in batch for item in call.items])
        except Exception as error:
            if len(batch) == 1:
                batch[0].answers.set_exception(error)
                return
            for call in batch:  # whose fault it is shows when each is alone
                self._serve([call])
            return
        start = 0
        for call in batch:
            call.answers.set_result(answers[start : start + len(call.items)])
            start += len(call.items)

    def _take(self) -> list[_Call[Kind, Item, Answer]]:
        """Take the call that has waited the longest, and those that fit in beside it."""
        with self._lock:
            batch, others = list(islice(self._waiting, 1)), list(islice(self._waiting, 1, None))
            self._waiting.clear()
            num_items = sum(len(call.items) for call in batch)
            for call in others:
                fits = call.kind == batch[0].kind and num_items + len(call.items) <= self._largest
                (batch if fits else self._waiting).append(call)
                num_items += len(call.items) if fits else 0
            return batch


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """A frame to find people in, or to find their joints in where their boxes are known."""

    frame: Frame
    boxes_xyxy: Float32[F32, "_ 4"] | None = None


class BatchedPose:
    """A pose backend that streams share."""

    def __init__(self, backend: PoseBackend, *, saw_batch: Callable[[int], None] | None = None) -> None:
        self._backend = backend
        largest = LARGEST_POSE_BATCH if backend.needs_boxes else ONE_BY_ONE
        self._batcher: Batcher[bool, _Look, Poses] = Batcher(self._run, largest=largest, saw_batch=saw_batch)

    @property
    def name(self) -> str:
        """See ``PoseBackend``."""
        return self._backend.name

    @property
    def layout(self) -> Layout:
        """See ``PoseBackend``."""
        return self._backend.layout

    @property
    def max_side(self) -> int | None:
        """See ``PoseBackend``."""
        return self._backend.max_side

    @property
    def needs_boxes(self) -> bool:
        """See ``PoseBackend``."""
        return self._backend.needs_boxes

    @property
    def detect_every(self) -> int:
        """See ``PoseBackend``."""
        return self._backend.detect_every

    def find(self, frames: Sequence[Frame]) -> list[Poses]:
        """See ``PoseBackend``."""
        return self._batcher.ask(False, [_Look(frame) for frame in frames])

    def follow(self, frames: Sequence[Frame], boxes_xyxy: Sequence[Float32[F32, "_ 4"]]) -> list[Poses]:
        """See ``PoseBackend``."""
        return self._batcher.ask(True, [_Look(*pair) for pair in zip(frames, boxes_xyxy, strict=True)])

    def _run(self, is_followed: bool, looks: Sequence[_Look]) -> list[Poses]:
        frames = [look.frame for look in looks]
        if is_followed:
            return self._backend.follow(frames, [look.boxes_xyxy for look in looks if look.boxes_xyxy is not None])
        return self._backend.find(frames)


class BatchedRecogniser:
    """A recogniser that streams share."""

    def __init__(self, recogniser: Recogniser, *, saw_batch: Callable[[int], None] | None = None) -> None:
        self._recogniser = recogniser
        self._batcher: Batcher[bool, SkeletonClip, Prediction] = Batcher(
            self._run, largest=LARGEST_BATCH, saw_batch=saw_batch
        )

    @property
    def card(self) -> Card:
        """See ``Recogniser``."""
        return self._recogniser.card

    @property
    def bundle(self) -> Bundle:
        """See ``Recogniser``."""
        return self._recogniser.bundle

    @property
    def provider(self) -> str:
        """See ``Recogniser``."""
        return self._recogniser.provider

    def recognise(self, clips: Sequence[SkeletonClip], *, explain: bool = True) -> list[Prediction]:
        """See ``Recogniser``."""
        return self._batcher.ask(explain, clips)

    def _run(self, explain: bool, clips: Sequence[SkeletonClip]) -> list[Prediction]:
        return self._recogniser.recognise(clips, explain=explain)


@dataclass(frozen=True, slots=True)
class BatchedEngine:
    """The networks of an engine as streams share them."""

    pose: BatchedPose
    recogniser: BatchedRecogniser

    def open_live(self, options: Options) -> LiveStream:
        """Begin a camera."""
        return LiveStream(self.pose, self.recogniser, options)


class BatchedEngines:
    """One batched engine for each engine that is loaded, for as long as it is."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._batched: WeakKeyDictionary[Engine, BatchedEngine] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, engine: Engine) -> BatchedEngine:
        """Return what streams share of an engine."""
        with self._lock:
            if engine not in self._batched:
                self._batched[engine] = BatchedEngine(
                    BatchedPose(engine.pose, saw_batch=partial(self._metrics.saw_batch, "pose")),
                    BatchedRecogniser(engine.recogniser, saw_batch=partial(self._metrics.saw_batch, "recognise")),
                )
            return self._batched[engine]
