"""Person detectors, one file each: pictures in, boxes around people out."""

from pipeline.detect.detector import Detector
from pipeline.detect.rtmdet import RtmDet
from pipeline.detect.yolox import Yolox

__all__ = ["Detector", "RtmDet", "Yolox"]
