"""A tracker: give the same person the same id from frame to frame.

Two rounds as in ByteTrack (Zhang et al., ECCV 2022, https://arxiv.org/abs/2110.06864): confident people first, then the
less confident ones, who may only continue a track. A third round calls people back who were missed for a while, by
place and size alone, since a switch of identity costs the user more than a bridge too many. Similarity mixes keypoints
and boxes.

All state is in the object: one tracker a stream, and nothing is shared between two.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from pipeline.layouts import Layout
from pipeline.track.association import (
    assign,
    box_fill,
    box_overlap,
    centre_distances,
    distinct,
    joint_sigmas,
    keypoint_similarity,
    mixed_similarity,
    size_ratios,
    visible_joints,
)
from pipeline.track.tracks import Tracks
from pipeline.values import B1, F64, I64, UNTRACKED, Poses

BORDER = 0.05  # a box nearer to the border than this share of its side touches it


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """When people are taken to be the same, when a track begins, and when it ends.

    Scores and similarities lie in [0, 1]; a size is the square root of a box's area, and speeds and distances are in
    sizes. The numbers were chosen on real clips: MoveNet gives people who are small or seen from above scores of 0.2,
    and table legs too, but the joints it sees in those do not fill the box.
    """

    confident_score: float = 0.2  # box score that may start a track
    uncertain_score: float = 0.1  # box score that may continue one
    birth_joints: int = 5  # joints seen that may start a track ...
    birth_fill: float = 0.45  # ... and how much of the box's size they must span
    confident_gate: float = 0.2  # similarity that continues a track
    uncertain_gate: float = 0.35
    duplicate_similarity: float = 0.7  # of keypoints: more is the same person reported twice
    birth_similarity: float = 0.4  # of keypoints, to somebody followed: more is no new person
    birth_overlap: float = 0.8  # of boxes, likewise
    size_ratio: float = 2.0  # nobody grows or shrinks by more between two sights
    recall_ratio: float = 1.6  # nor by more than this, if place and size are all there is to go by
    recall_distance: float = 0.5  # how far off somebody missed may turn up, at once ...
    recall_speed: float = 1.0  # ... and for each second missed
    missed_cost: float = 0.5  # similarity that a second out of sight costs against others ...
    unconfirmed_cost: float = 0.1  # ... and what it costs not to be certain
    confirm_hits: int = 3  # confident sights that make a person certain ...
    confirm_s: float = 0.2  # ... if they are at least this far apart
    max_gap_s: float = 1.5  # a track unseen for longer is over ...
    unconfirmed_gap_s: float = 0.35  # ... sooner if it was never certain ...
    exit_gap_s: float = 0.5  # ... or if the person was walking out of the picture
    exit_speed: float = 0.25  # in widths or heights of the box a second

    def __post_init__(self) -> None:
        if not 0.0 <= self.uncertain_score <= self.confident_score <= 1.0:
            raise ValueError(
                "expected 0 <= uncertain_score <= confident_score <= 1, "
                f"got {self.uncertain_score} and {self.confident_score}"
            )
        if not all(0.0 < gap_s <= self.max_gap_s for gap_s in (self.unconfirmed_gap_s, self.exit_gap_s)):
            raise ValueError(
                f"expected gaps above 0 and at most max_gap_s ({self.max_gap_s}), "
                f"got {self.unconfirmed_gap_s} and {self.exit_gap_s}"
            )


class Tracker:
    """Follow the people of one stream; ids count up from 1.

    ``size_wh`` is the picture's size (px), which lets tracks end sooner where people walk out of it; None if not known.
    """

    def __init__(
        self,
        settings: TrackerSettings = TrackerSettings(),
        *,
        layout: Layout,
        size_wh: tuple[int, int] | None = None,
    ) -> None:
        self._settings = settings
        self._sigmas = joint_sigmas(layout)
        self._size_wh = size_wh
        self._tracks = Tracks.born(Poses.empty(len(layout)), 0.0, first_id=1)
        self._next_id = 1
        self._time_s = -np.inf

    def update(self, poses: Poses, time_s: float) -> Poses:
        """Return the people that are followed, in their order in ``poses``, under their ids.

        Who is new gets an id at once, so a track may turn out to be short; who is too uncertain is left out.

        Raises:
            ValueError: for a time that is not later than that of the update before.

        """
        if not time_s > self._time_s:
            raise ValueError(
                f"expected a time after {self._time_s:.3f} s, got {time_s:.3f} s: one tracker a stream, in order"
            )
        self._time_s = time_s
        people = poses.select(poses.box_scores >= self._settings.uncertain_score)
        people = people.select(distinct(people, sigmas=self._sigmas, limit=self._settings.duplicate_similarity))
        self._tracks = self._tracks.select(time_s - self._tracks.seen_s <= self._settings.max_gap_s)
        places = self._find_places(people, time_s)
        newborn = self._find_newborn(people, places)
        places[newborn] = len(self._tracks) + np.arange(len(newborn))
        ids = self._remember(people, places, time_s)
        followed = places >= 0
        return people.select(followed).with_track_ids(ids[places[followed]])

    @property
    def present(self) -> Tracks:
        """The people seen at the last update, by rising id.

        People missed then are left out: a pose looked for in an empty box is always found.
        """
        return self._tracks.select(self._tracks.seen_s == self._time_s)

    def _find_places(self, people: Poses, time_s: float) -> Int64[I64, " M"]:
        """Return each person's row in the tracks, or -1."""
        places = np.full(len(people), UNTRACKED, np.int64)
        if not len(people) or not len(self._tracks):
            return places
        settings = self._settings
        expected, spread = self._tracks.expected(time_s)
        ratios = size_ratios(expected.boxes_xyxy, people.boxes_xyxy)
        fitting = ratios <= settings.size_ratio
        similarity = mixed_similarity(expected, people, sigmas=self._sigmas, spread=spread)
        # People out of sight and people not yet certain give way to the others.
        missed_s = time_s - self._tracks.seen_s
        cost = settings.missed_cost * missed_s + settings.unconfirmed_cost * ~self._confirmed()
        worth = similarity - cost[:, None]
        confident = people.box_scores >= settings.confident_score
        _pair(places, worth, fitting & confident & (similarity >= settings.confident_gate))
        _pair(places, worth, fitting & ~confident & (similarity >= settings.uncertain_gate))
        reach = settings.recall_distance + settings.recall_speed * missed_s
        nearness = 1.0 - centre_distances(expected.boxes_xyxy, people.boxes_xyxy) / reach[:, None]
        fitting = (ratios <= settings.recall_ratio) & self._confirmed()[:, None]
        _pair(places, nearness, fitting & confident & (nearness > 0.0))
        return places

    def _find_newborn(self, people: Poses, places: Int64[I64, " M"]) -> Int64[I64, " Q"]:
        """Return who is new: sure, visible, and no double of somebody followed or of somebody new."""
        settings = self._settings
        sure = people.box_scores >= settings.confident_score
        sure &= visible_joints(people).sum(axis=1) >= settings.birth_joints
        sure &= box_fill(people) >= settings.birth_fill
        candidates = np.flatnonzero((places < 0) & sure)
        if not len(candidates):
            return candidates
        alike = keypoint_similarity(people, people, sigmas=self._sigmas) > settings.birth_similarity
        alike |= box_overlap(people.boxes_xyxy, people.boxes_xyxy) > settings.birth_overlap
        taken = places >= 0
        for person in candidates[np.argsort(-people.box_scores[candidates], kind="stable")]:
            taken[person] = not (alike[:, person] & taken).any()
        return candidates[taken[candidates]]

    def _remember(self, people: Poses, places: Int64[I64, " M"], time_s: float) -> Int64[I64, " Q"]:
        """Bring the tracks up to date; return the id that each place stood for."""
        old = len(self._tracks)
        again, new = (places >= 0) & (places < old), places >= old
        confident = people.box_scores[again] >= self._settings.confident_score
        seen = self._tracks.select(places[again]).seen_again(people.select(again), time_s, confident=confident)
        born = Tracks.born(people.select(new), time_s, first_id=self._next_id)
        ids = np.concatenate([self._tracks.ids, born.ids])
        self._next_id += len(born)
        missed = np.ones(old, np.bool_)
        missed[places[again]] = False
        missed &= ~self._is_over(time_s)
        together = self._tracks.select(missed).joined(seen).joined(born)
        self._tracks = together.select(np.argsort(together.ids))
        return ids

    def _is_over(self, time_s: float) -> Bool[B1, " M"]:
        """Tell which tracks end, if they were missed again at this time."""
        settings = self._settings
        limit_s = np.where(self._confirmed(), settings.max_gap_s, settings.unconfirmed_gap_s)
        limit_s = np.where(self._leaving(), np.minimum(limit_s, settings.exit_gap_s), limit_s)
        over: B1 = time_s - self._tracks.seen_s > limit_s
        return over

    def _confirmed(self) -> Bool[B1, " M"]:
        tracks, settings = self._tracks, self._settings
        certain: B1 = (tracks.hits >= settings.confirm_hits) & (tracks.seen_s - tracks.born_s >= settings.confirm_s)
        return certain

    def _leaving(self) -> Bool[B1, " M"]:
        """Tell who was last seen at the picture's border, on the way out."""
        if self._size_wh is None:
            return np.zeros(len(self._tracks), np.bool_)
        states = self._tracks.states
        boxes = states.boxes_xyxy
        sides = states.position[:, 2:]
        speed = states.velocity[:, :2] / np.maximum(sides, 1.0)
        touching_low = boxes[:, :2] <= BORDER * sides
        touching_high = boxes[:, 2:] >= np.array(self._size_wh) - BORDER * sides
        out = self._settings.exit_speed
        going_out = (touching_low & (speed < -out)) | (touching_high & (speed > out))
        leaving: B1 = np.any(going_out, axis=1)
        return leaving


def _pair(places: Int64[I64, " M"], worth: Float64[F64, "Q M"], allowed: Bool[B1, "Q M"]) -> None:
    """Give people without a place (columns) the best of the rows that nobody has yet."""
    free = np.ones(len(worth), np.bool_)
    free[places[places >= 0]] = False
    found = assign(worth, allowed & free[:, None] & (places < 0))
    places[found >= 0] = found[found >= 0]
