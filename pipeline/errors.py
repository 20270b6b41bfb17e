"""Every error that is the world's fault, not the caller's.

A caller's mistake is a ``ValueError``; these are for files, models and devices that are not as they should be::

    MareyError
    +-- VideoError            the source cannot be used
    |   +-- NotAVideo         it holds no video at all
    |   +-- Undecodable       it is a video, but broken
    |   +-- LimitExceeded     it is larger than this deployment allows
    |   +-- SourceLost        a camera went away
    +-- ModelError            a model cannot be used
    |   +-- UnknownModel      no model of that name is installed
    |   +-- BrokenBundle      files missing, altered or at odds with their card
    |   +-- WeightsMissing    weights must be pulled first
    |   +-- ProviderMissing   the device asked for is not there
    +-- UnfitClip             skeletons lack what the model was trained on
    +-- DataError             a data set file is not as its format says
    +-- ExportError           an exported model does not agree with the trained one
    +-- RemoteError           a service elsewhere cannot be reached, or refuses
"""


class MareyError(Exception):
    """The root of the tree."""


class VideoError(MareyError):
    """The video source cannot be used."""


class NotAVideo(VideoError):
    """The bytes are no video that the decoder knows."""


class Undecodable(VideoError):
    """A container was recognised, but no frame could be decoded from it."""


class LimitExceeded(VideoError):
    """The video has more bytes, seconds, pixels or frames than allowed."""

    def __init__(self, message: str, *, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class SourceLost(VideoError):
    """A live source stopped or could not be reached."""


class ModelError(MareyError):
    """A model cannot be used."""


class UnknownModel(ModelError):
    """No model of that name is installed."""


class BrokenBundle(ModelError):
    """A bundle's files are missing, altered or at odds with its card."""


class WeightsMissing(ModelError):
    """Weights are not in the cache and must be pulled first."""


class ProviderMissing(ModelError):
    """The execution provider asked for is not available here."""


class UnfitClip(MareyError):
    """Skeletons lack what the model was trained on: its joints, the size of the picture, or a third coordinate."""


class DataError(MareyError):
    """A data set file is not as its format says."""


class ExportError(MareyError):
    """An exported model does not give what the trained one gives."""


class RemoteError(MareyError):
    """A service elsewhere cannot be reached, or refuses."""
