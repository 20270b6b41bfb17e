"""Measure recognisers on this machine: the exported file beside the network that it was made from, in one run.

Machines differ, and no two minutes on one of them are alike. What is compared is therefore timed turn by turn, and only
the ratio of two medians means something elsewhere.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import nn

from models.heatmap import HeatmapConfig, Heatmaps
from models.registry import Recogniser, build
from models.volumes import VolumeRecogniser
from pipeline.layouts import COCO17, NTU25, Layout
from pipeline.onnx import OnnxModel, OperatorCost, profile
from pipeline.recognise import INPUT, OUTPUTS
from training.catalogue import FRAMES_OF_HEATMAPS, NUM_CHANNELS, NUM_CLASSES
from training.export import ExportReport, export_onnx, to_onnx

F32 = NDArray[np.float32]
FRAMES_OF_JOINTS = 64  # of the windows that recognisers are served with; papers' clips are several times as long
SIGMAS = 3
