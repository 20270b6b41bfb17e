"""One camera: each frame gives who is in it, and what became known with it of what people do.

The chain is that of ``Engine.recognise``, and so are the actions once they are over. Every stride the windows that are
complete go to the recogniser, and with them those that nearly are, which name an action early.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from math import inf

from pipeline.actions import DEFAULT_OPTIONS, Options, Stopwatch, windower_for
from pipeline.decisions import ActionEvent, EventKind, Horizon, Rules, Watch
from pipeline.follow import Follower, size_of_video
from pipeline.pose import PoseBackend
from pipeline.recognise import ClipRecogniser
from pipeline.values import Frame, Poses, Prediction, SkeletonClip

__all__ = ["ActionEvent", "EventKind", "LiveStep", "LiveStream"]


@dataclass(frozen=True, slots=True, eq=False)
class LiveStep:
    """What became known with one frame: who is followed in it, in px of the video, and what they do."""

    time_s: float
    poses: Poses
    events: tuple[ActionEvent, ...]


class LiveStream:
    """One camera on its way through the chain; holds all memory, which does not grow with time.

    One caller at a time. Of the options, ``keypoints`` and ``pose_fps`` say nothing here: every frame pushed is looked
    at, and answered with its poses.

    Raises:
        ValueError: the windows asked for are longer than the model takes.

    """

    def __init__(self, pose: PoseBackend, recogniser: ClipRecogniser, options: Options = DEFAULT_OPTIONS) -> None:
        self.stopwatch = Stopwatch()
        self._recogniser, self._explain = recogniser, options.explain
        self._follower = Follower(pose, max_people=options.max_people, stopwatch=self.stopwatch)
        self._windower = windower_for(recogniser, options, layout=pose.layout)
        self._rules = Rules(recogniser.card, options.segment_settings, self._windower.window_s, options.stride_s)
        self._watches: dict[int, Watch] = {}
        self._action_ids = count(1)
        self._now_s = -inf

    def push(self, frame: Frame) -> LiveStep:
        """Take the next frame; ``ValueError`` if it is not later than the one before."""
        self._windower.size_wh = size_of_video(frame)
        (poses,) = self._follower.follow([frame])
        self._now_s, before_s = frame.time_s, self._windower.next_s
        with self.stopwatch.time("features"):
            due = self._windower.push(poses, frame.time_s)
        self._see(poses, frame.time_s)
        if self._windower.next_s == before_s:
            return LiveStep(frame.time_s, poses, ())
        with self.stopwatch.time("features"):
            early = self._windower.preview(frame.time_s)
        return LiveStep(frame.time_s, poses, self._decide(due, early, next_s=self._windower.next_s))

    def finish(self) -> tuple[ActionEvent, ...]:
        """Look at the last windows, and end every action."""
        return self._decide(self._windower.finish(), (), next_s=inf)

    def _see(self, poses: Poses, time_s: float) -> None:
        for track_id in poses.track_ids.tolist():
            if track_id not in self._watches:
                self._watches[track_id] = Watch(track_id, time_s, self._rules)
            self._watches[track_id].seen_s = time_s

    def _decide(
        self, due: Sequence[SkeletonClip], early: Sequence[SkeletonClip], *, next_s: float
    ) -> tuple[ActionEvent, ...]:
        for prediction in self._recognise(due, explain=self._explain):
            self._watches[_track_of(prediction)].hear(prediction)
        previews: defaultdict[int, list[Prediction]] = defaultdict(list)
        for prediction in self._recognise(early, explain=False):
            previews[_track_of(prediction)].append(prediction)
        horizon = Horizon(self._now_s, next_s)
        with self.stopwatch.time("segments"):
            events = [
                event
                for track_id, watch in self._watches.items()
                for event in watch.decide(previews[track_id], horizon, self._action_ids)
            ]
        self._watches = {key: watch for key, watch in self._watches.items() if not watch.is_over(horizon)}
        return tuple(events)

    def _recognise(self, clips: Sequence[SkeletonClip], *, explain: bool) -> list[Prediction]:
        with self.stopwatch.time("recognise"):
            return self._recogniser.recognise(clips, explain=explain) if clips else []


def _track_of(prediction: Prediction) -> int:
    return int(prediction.track_ids[0])
