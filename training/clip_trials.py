"""Whole clips through the whole chain: how often the action is named, and how often one that is not there.

This is what whoever posts a clip gets to see, unlike accuracy on skeletons, which others found and somebody cut out.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.actions import Options
from pipeline.engine import Engine
from pipeline.errors import VideoError
from pipeline.values import Recognition, Segment
from pipeline.video import open_video
from training.sources.registry import Dropped, LabelledClip

UNEXPLAINED = Options(explain=False)


@dataclass(frozen=True)
class Trial:
    """What was said of one clip, of anybody in it, in the part that is labelled.

    ``is_known`` says that the model can report the clip's label; in other clips there is nothing to be named.
    """

    clip: LabelledClip
    said: tuple[Segment, ...]
    is_known: bool

    @cached_property
    def wrong(self) -> tuple[Segment, ...]:
        """What was said and is not the clip's label."""
        return tuple(segment for segment in self.said if segment.label != self.clip.label)

    @property
    def is_right(self) -> bool:
        """Whether the clip's label was said."""
        return len(self.wrong) < len(self.said)


def try_clips(engine: Engine, clips: Iterable[LabelledClip | Dropped]) -> Iterator[Trial | Dropped]:
    """Recognise clips one by one as an upload would be; what cannot be read is dropped with the reason."""
    actions = frozenset(engine.recogniser.card.action_labels)
    for clip in clips:
        if isinstance(clip, Dropped):
            yield clip
            continue
        try:
            with open_video(clip.path) as video:
                recognition = engine.recognise(video, UNEXPLAINED)
        except VideoError as error:
            yield Dropped(clip.id, str(error))
            continue
        yield Trial(clip, _said_of(recognition, clip), clip.label in actions)


def _said_of(recognition: Recognition, clip: LabelledClip) -> tuple[Segment, ...]:
    """Return the segments of everybody of which half or more lies in the labelled part."""
    segments = (segment for track in recognition.tracks for segment in track.segments)
    return tuple(
        segment
        for segment in segments
        if min(segment.end_s, clip.end_s) - max(segment.start_s, clip.start_s) >= (segment.end_s - segment.start_s) / 2
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """How a model did on clips: ``named`` of ``clips`` of actions it knows, and ``wrong`` of ``segments`` in all."""

    clips: int
    named: int
    segments: int
    wrong: int


def tally(trials: Sequence[Trial]) -> Tally:
    """Count."""
    known = [trial for trial in trials if trial.is_known]
    return Tally(
        clips=len(known),
        named=sum(trial.is_right for trial in known),
        segments=sum(len(trial.said) for trial in trials),
        wrong=sum(len(trial.wrong) for trial in trials),
    )
