"""The service around the real pipeline: decoder, pose network, tracker and a recogniser."""

import asyncio
import hashlib
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from streaming import stream

from pipeline.bundle import DEFAULT_MODEL, Card, find_bundles
from pipeline.engine import load_engine
from pipeline.features import FeatureSpec
from pipeline.video import open_video
from service.app import create_app
from service.settings import Settings
from service.streams.messages import Action, SentFrame, pack_frame

BYTES = {"Content-Type": "application/octet-stream"}
LABELS = ("idle", "wave")


def untrained_bundle(folder: Path) -> Path:
    """Make a recogniser that answers "wave" to everything: logits from the bias, attention from the coordinates."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["clips", "to_people"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["logits"]),
            helper.make_node("ReduceSum", ["clips", "to_frames"], ["frames"], keepdims=0),
            helper.make_node("Softmax", ["frames"], ["frame_attention"]),
            helper.make_node("ReduceSum", ["clips", "to_joints"], ["joints"], keepdims=0),
            helper.make_node("Softmax", ["joints"], ["joint_attention"]),
        ],
        "untrained",
        [helper.make_tensor_value_info("clips", TensorProto.FLOAT, ["N", "T", 1, 17, 2])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("frame_attention", TensorProto.FLOAT, ["N", "T"]),
            helper.make_tensor_value_info("joint_attention", TensorProto.FLOAT, ["N", 17]),
        ],
        [
            numpy_helper.from_array(np.array([1, 2, 3]), "to_people"),
            numpy_helper.from_array(np.array([2, 3, 4]), "to_frames"),
            numpy_helper.from_array(np.array([1, 2, 4]), "to_joints"),
            numpy_helper.from_array(np.zeros((2, 2), np.float32), "weights"),
            numpy_helper.from_array(np.array([0, 5], np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    card = Card(
        name="untrained",
        version="0",
        architecture="none",
        description="It waves.",
        features=FeatureSpec(layout="coco17", num_frames=16, window_s=1.0),
        labels=LABELS,
        silent_labels=("idle",),
        model_sha256=hashlib.sha256(model).hexdigest(),
    )
    onnx.checker.check_model(model)
    (folder / "model.onnx").write_bytes(model)
    (folder / "card.json").write_text(card.to_json())
    return folder


@pytest.fixture
def real_client(serve, tmp_path):
    folder = untrained_bundle(tmp_path)
    return serve(create_app(Settings(model="untrained", model_folders=(folder,))))


def is_ready(client):
    while (reply := client.get("/readyz")).status_code == 503 and "not answered yet" in reply.json()["detail"]:
        pass
    return reply.status_code == 200


def test_a_real_engine_warms_up_and_sees_nobody_in_grey(real_client, video):
    assert is_ready(real_client)
    answer = real_client.post("/v1/recognize", content=video, headers=BYTES).json()
    assert answer["tracks"] == []
    assert any("nobody" in warning for warning in answer["warnings"])
    assert answer["model"]["name"] == "untrained"
    assert answer["timings_ms"]["pose"] > 0


def test_skeletons_are_recognised_by_a_real_engine(real_client):
    angles = np.linspace(0, 6, 45)
    person = np.random.default_rng(0).uniform(100, 300, (17, 2))
    keypoints = person[None] + 20 * np.stack([np.sin(angles), np.cos(angles)], axis=-1)[:, None]
    body = {"layout": "coco17", "times_s": (angles / 2).tolist(), "keypoints": keypoints[:, None].tolist()}
    reply = real_client.post("/v1/recognize", json={"skeletons": body, "options": {"keypoints": True}})
    (track,) = reply.json()["tracks"]
    assert track["segments"][0]["label"] == "wave"
    assert track["segments"][0]["top_k"][0]["label"] == "wave"
    assert len(track["keypoints"]["points"][0]) == 17


def test_people_in_a_real_video_are_followed(real_client, shared):
    content = (shared / "videos" / "stgcn_clean_and_jerk.mp4").read_bytes()
    answer = real_client.post("/v1/recognize", content=content, headers=BYTES, params={"keypoints": "1"}).json()
    assert answer["tracks"]
    longest = max(answer["tracks"], key=lambda track: track["end_s"] - track["start_s"])
    assert longest["segments"]
    assert longest["keypoints"]["layout"] == "coco17"


@pytest.mark.slow
def test_the_embedded_model_answers_for_a_real_video(serve, shared):
    if DEFAULT_MODEL not in find_bundles():
        pytest.skip("needs the embedded model: this would have checked that it finds an action in a real video")
    client = serve(create_app(Settings(), engine=load_engine()))
    content = (shared / "videos" / "web_squat_rohan.mp4").read_bytes()
    answer = client.post("/v1/recognize", content=content, headers=BYTES, params={"top_k": 3}).json()
    assert any(track["segments"] for track in answer["tracks"])
    assert answer["model"]["name"] == DEFAULT_MODEL


@pytest.mark.slow
def test_a_real_video_streamed_twice_at_once_is_answered_as_alone(serve, shared):
    if DEFAULT_MODEL not in find_bundles():
        pytest.skip("needs the embedded model: this would have checked that it finds an action in a live stream")
    client = serve(create_app(Settings(max_jobs=0), engine=load_engine()))
    frames = list(frames_of(shared / "videos" / "web_squat_rohan.mp4", start_s=8.0, end_s=12.5))
    alone = asyncio.run(stream(client, frames))
    actions = alone.of(Action)
    assert (actions[0].type, actions[-1].type) == ("action.start", "action.end")
    assert {action.label for action in actions} == {"squat"}
    for heard in asyncio.run(streamed_twice(client, frames)):
        others = heard.of(Action)
        assert list(map(decision, others)) == list(map(decision, actions))
        # A batch of another size may round differently, and the wire has four digits.
        assert [action.score for action in others] == pytest.approx([action.score for action in actions], abs=2e-4)


def decision(action):
    return action.type, action.action_id, action.label, action.start_s, action.end_s, action.decided_s


async def streamed_twice(client, frames):
    return await asyncio.gather(stream(client, frames), stream(client, frames))


def frames_of(path, *, start_s, end_s):
    with open_video(path) as video:
        for frame in video.frames(fps=15, max_side=640):
            if start_s <= frame.time_s < end_s:
                encoded = cv2.imencode(".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))[1].tobytes()
                yield pack_frame(SentFrame(frame.index, round(frame.time_s * 1e6), encoded))
