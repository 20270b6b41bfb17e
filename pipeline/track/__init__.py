"""Tracking: the same people under the same ids from frame to frame, with all state in one object per stream."""

from pipeline.track.tracker import Tracker, TrackerSettings
from pipeline.track.tracks import Tracks

__all__ = ["Tracker", "TrackerSettings", "Tracks"]
