"""RTMPose t, s and m with RTMDet-nano: the accurate top-down backends, official weights.

Trained by OpenMMLab on seven public sets of people (its "body7"), 256 x 192, COCO-17; COCO AP with their boxes 65.9,
69.7 and 74.9. The addresses are those of MMPose's own list. OpenMMLab publishes no sha256: the ones here are of
``end2end.onnx`` as several independent projects have recorded it, and a file that differs is refused. Source: Jiang
et al., RTMPose (arXiv 2303.07399); https://github.com/open-mmlab/mmpose/tree/main/projects/rtmpose.
"""

from pipeline.detect import RtmDet
from pipeline.onnx import OnnxModel
from pipeline.pose.cache import WeightsFile, locate
from pipeline.pose.registry import BackendOptions, register
from pipeline.pose.simcc import read_simcc
from pipeline.pose.topdown import Estimator, TopDown

HOST = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk"
LICENCE = "Apache-2.0"

RTMDET_NANO = WeightsFile(
    "rtmdet-nano-person.onnx",
    LICENCE,
    url=f"{HOST}/rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.zip",
    sha256="8297e829ccc5590c8e2d32d5a211f322a0585fb7467eec85eb12c9525b0b95d6",
)
RTMPOSE_T = WeightsFile(
    "rtmpose-t-256x192.onnx",
    LICENCE,
    url=f"{HOST}/rtmpose-t_simcc-body7_pt-body7_420e-256x192-026a1439_20230504.zip",
    sha256="a6c2f6a3896a4d51131d14d7a80a3d08b50f559af5a58a45d5b098aef510a70f",
)
RTMPOSE_S = WeightsFile(
    "rtmpose-s-256x192.onnx",
    LICENCE,
    url=f"{HOST}/rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504.zip",
    sha256="9aeb635b83f86aea45cf45d85798f7eba1a162de8e0d721c44e54fe5eebaf47d",
)
RTMPOSE_M = WeightsFile(
    "rtmpose-m-256x192.onnx",
    LICENCE,
    url=f"{HOST}/rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip",
    sha256="5c0a4bf67953e6d2ac43ce15e77dc9d5d354ae18430a47d2c5963a7bc5683e3c",
)


def build(name: str, estimator: WeightsFile, options: BackendOptions) -> TopDown:
    """Build a profile from the weights in the cache; ``size`` must be the detector's own."""
    detector_path, estimator_path = locate(name, (RTMDET_NANO, estimator), options.cache)
    return TopDown(
        name,
        RtmDet(OnnxModel(detector_path, provider=options.provider, threads=options.threads), size=options.size),
        Estimator(OnnxModel(estimator_path, provider=options.provider, threads=options.threads), read_simcc),
    )


@register("rtmpose-t", weights=(RTMDET_NANO, RTMPOSE_T))
def build_t(options: BackendOptions) -> TopDown:
    """Build the smallest."""
    return build("rtmpose-t", RTMPOSE_T, options)


@register("rtmpose-s", weights=(RTMDET_NANO, RTMPOSE_S))
def build_s(options: BackendOptions) -> TopDown:
    """Build the one in between."""
    return build("rtmpose-s", RTMPOSE_S, options)


@register("rtmpose-m", weights=(RTMDET_NANO, RTMPOSE_M))
def build_m(options: BackendOptions) -> TopDown:
    """Build the most accurate."""
    return build("rtmpose-m", RTMPOSE_M, options)
