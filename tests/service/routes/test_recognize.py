import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.engine import Options
from pipeline.errors import BrokenBundle, ProviderMissing, WeightsMissing
from service.app import create_app
from service.settings import Settings

BYTES = {"Content-Type": "application/octet-stream"}
ANSWER = {
    "model": {"name": "everyday", "version": "1.2.3", "provider": "cpu"},
    "video": {"duration_s": 1.0, "fps": 20.0, "frames": 20, "width": 64, "height": 48},
    "tracks": [
        {
            "track_id": 1,
            "start_s": 0.0,
            "end_s": 0.9,
            "segments": [
                {
                    "label": "wave",
                    "label_id": 1,
                    "score": 0.9123,
                    "start_s": 0.1,
                    "end_s": 0.8,
                    "top_k": [{"label": "wave", "score": 0.9123}, {"label": "idle", "score": 0.05}],
                    "explanation": {"key_frames_s": [0.3], "key_joints": ["left_wrist"]},
                }
            ],
            "keypoints": None,
        }
    ],
    "warnings": [],
}


def as_form(client, video, options=None, **kwargs):
    form = {"data": {"options": json.dumps(options)}} if options is not None else {}
    return client.post("/v1/recognize", files={"file": ("my secret.mp4", video)}, **form, **kwargs)


def as_bytes(client, video, options=None):
    return client.post("/v1/recognize", content=video, headers=BYTES, params=options)


def without_the_particular(answer):
    answer = dict(answer)
    answer.pop("request_id"), answer.pop("timings_ms")
    answer["model"] = {key: text for key, text in answer["model"].items() if key != "sha256"}
    return answer


def assert_problem(reply, status, slug, *words):
    problem = reply.json()
    assert reply.status_code == problem["status"] == status, problem
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:marey:problem:{slug}"
    assert problem["request_id"] == reply.headers["x-request-id"]
    assert problem["title"]
    for word in words:
        assert word in problem["detail"]
    return problem


@pytest.mark.parametrize("send", [as_form, as_bytes])
@pytest.mark.parametrize("path", ["/v1/recognize", "/recognize"])
def test_a_video_gives_the_documented_answer(client, video, send, path, monkeypatch):
    reply = send(client, video)
    assert reply.status_code == 200
    assert without_the_particular(reply.json()) == ANSWER
    assert set(reply.json()["timings_ms"]) == {
        *("decode", "detect", "pose", "track", "features", "recognise", "queue", "total")
    }
    assert reply.json()["request_id"] == reply.headers["x-request-id"]


def test_the_model_is_named_to_the_bit(client, video, engine):
    assert as_bytes(client, video).json()["model"]["sha256"] == engine.recogniser.bundle.sha256


@pytest.mark.parametrize("media_type", ["video/mp4", "video/x-matroska", "APPLICATION/OCTET-STREAM; foo=bar", None])
def test_a_raw_body_may_have_any_video_type_or_none(client, video, media_type):
    headers = {"Content-Type": media_type} if media_type else {}
    assert client.post("/v1/recognize", content=video, headers=headers).status_code == 200


def test_options_reach_the_engine_from_the_form_as_from_the_address(client, video, engine):
    options = {"top_k": 3, "threshold": 0.5, "window_s": 0.5, "stride_s": 0.5, "max_people": 2, "explain": False}
    as_form(client, video, options)
    as_bytes(client, video, {**options, "explain": "false"})
    assert engine.options == [Options(**options)] * 2


def test_keypoints_come_when_asked_for(client, video):
    keypoints = as_bytes(client, video, {"keypoints": "true"}).json()["tracks"][0]["keypoints"]
    assert keypoints["layout"] == "coco17"
    assert keypoints["times_s"] == [0.0, 0.1]
    assert np.shape(keypoints["points"]) == (2, 17, 3)
    assert keypoints["points"][0][0] == [7.13, 7.13, 0.5]
    assert keypoints["boxes"] == [[1, 2, 3, 4]] * 2


def test_timings_hold_the_stages_the_queue_and_the_total(client, video):
    timings_ms = as_bytes(client, video).json()["timings_ms"]
    assert timings_ms["decode"] == 1.0
    assert timings_ms["pose"] == 2.0
    assert timings_ms["detect"] == 0.0
    assert 0 <= timings_ms["queue"] < timings_ms["total"]


def test_nobody_in_the_video_is_an_answer(client, video, engine):
    engine.is_empty = True
    reply = as_bytes(client, video)
    assert reply.status_code == 200
    assert reply.json()["tracks"] == []
    assert reply.json()["warnings"] == ["nobody was found in this video"]


def skeletons(num_frames=3, num_people=2, numbers=3, **fields):
    joint = [10.0, 20.0, 0.9][:numbers]
    return {
        "layout": "coco17",
        "times_s": [0.1 * index for index in range(num_frames)],
        "keypoints": [[[joint] * 17] * num_people] * num_frames,
        **fields,
    }


def test_skeletons_give_the_same_answer_as_a_video(client, engine):
    body = {"skeletons": skeletons(size_wh=[64, 48]), "options": {"top_k": 3}}
    reply = client.post("/v1/recognize", json=body)
    assert reply.status_code == 200
    assert without_the_particular(reply.json())["tracks"] == ANSWER["tracks"]
    assert engine.options == [Options(top_k=3)]
    clip = engine.clips[0]
    assert clip.keypoints.shape == (3, 2, 17, 2)
    assert clip.size_wh == (64, 48)
    np.testing.assert_array_equal(clip.track_ids, [1, 2])
    np.testing.assert_allclose(clip.scores, 0.9)


def test_skeletons_may_be_of_nobody(client, engine):
    assert client.post("/v1/recognize", json={"skeletons": skeletons(num_people=0)}).status_code == 200
    assert engine.clips[0].keypoints.shape == (3, 0, 17, 2)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"layout": "kinect99"}, "skeletons.layout", "coco17"),
        ({"times_s": [0.0, 0.2, 0.2]}, "skeletons.times_s", "rising"),
        ({"times_s": [0.0]}, "skeletons", "frames"),
        ({"keypoints": [[[[1.0, 2.0]] * 16]] * 3}, "skeletons", "17 joints"),
        ({"keypoints": [[[[1.0]] * 17]] * 3}, "skeletons", "[x, y]"),
        ({"keypoints": [[], [[[1.0, 2.0]] * 17], []]}, "skeletons", "same people"),
        ({"keypoints": [[[["left", 2.0]] * 17]] * 3}, "skeletons.keypoints.0.0.0.0", "number"),
        ({"keypoints": [[[[1e300, 2.0]] * 17]] * 3}, "skeletons.keypoints.0.0.0.0", "1000000"),
        ({"colour": "red"}, "skeletons.colour", "not permitted"),
    ],
)
def test_skeletons_that_are_not_as_documented_are_named(client, fields, field, words):
    reply = client.post("/v1/recognize", json={"skeletons": {**skeletons(), **fields}})
    problem = assert_problem(reply, 400, "bad-options", words)
    assert problem["errors"][0]["field"] == field
    assert len(problem["errors"]) <= 10


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"skeletons": null}', b'{"video": 1}', b'{"skeletons": NaN}'])
def test_json_that_is_none_is_refused(client, body):
    reply = client.post("/v1/recognize", content=body, headers={"Content-Type": "application/json"})
    assert_problem(reply, 400, "bad-options")


@pytest.mark.parametrize(("num_frames", "limit"), [(61, "frames"), (40, "seconds")])
def test_skeletons_have_the_limits_of_a_video(serve, engine, num_frames, limit):
    client = serve(create_app(Settings(max_frames=60, max_seconds=3), engine=engine))
    reply = client.post("/v1/recognize", json={"skeletons": skeletons(num_frames)})
    assert assert_problem(reply, 413, "limit-exceeded", "at most")["limit"] == limit
    assert not engine.clips


def truncated(video):
    return video[: len(video) // 2]


def jpeg():
    picture = BytesIO()
    Image.new("RGB", (64, 48)).save(picture, "JPEG")
    return picture.getvalue()


BAD_VIDEOS = {
    "an empty file": (lambda film: b"", 400, "empty-upload", ["0 bytes"]),
    "a text": (lambda film: b"I am not a video\n" * 100, 415, "not-a-video", ["expected a video"]),
    "a truncated MP4": (lambda film: truncated(film()), 422, "undecodable", ["MP4"]),
    "a JPEG": (lambda film: jpeg(), 415, "not-a-video", ["still image"]),
    "sound only": (lambda film: film(audio=True), 415, "not-a-video", ["only audio"]),
    "8k": (lambda film: film(num_frames=1, size_wh=(7680, 4320)), 413, "limit-exceeded", ["pixels"]),
    "a header that claims two hours": (
        lambda film: film(num_frames=2, fps=1, last_s=7200),
        413,
        "limit-exceeded",
        ["seconds"],
    ),
    "too many frames": (lambda film: film(num_frames=61), 413, "limit-exceeded", ["frames"]),
}


@pytest.mark.parametrize("send", [as_form, as_bytes])
@pytest.mark.parametrize(("make", "status", "slug", "words"), BAD_VIDEOS.values(), ids=BAD_VIDEOS)
def test_a_bad_video_is_refused_and_the_next_request_works(serve, engine, film, video, make, status, slug, words, send):
    client = serve(create_app(Settings(max_frames=60, max_seconds=60), engine=engine))
    problem = assert_problem(send(client, make(film)), status, slug, *words)
    assert problem.get("limit") == (words[0] if status == 413 else None)
    assert send(client, video).status_code == 200


@pytest.mark.parametrize(
    "make",
    [lambda film: film(num_frames=1), lambda film: film(fps=1, num_frames=2)],
    ids=["one frame", "one frame a second"],
)
def test_an_odd_video_is_answered(client, film, make):
    assert as_bytes(client, make(film)).status_code == 200


def test_no_frame_rate_is_no_obstacle(client):
    """Raw H.264 states no frame rate at all."""
    assert as_bytes(client, raw_h264()).status_code == 200


def raw_h264() -> bytes:
    import av

    stream = BytesIO()
    with av.open(stream, "w", format="h264") as output:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            output.mux(pictures.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(pictures.encode())
    return stream.getvalue()


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"topk": 3}, "topk", "top_k, threshold"),
        ({"top_k": 0}, "top_k", "greater than or equal to 1"),
        ({"top_k": "many"}, "top_k", "integer"),
        ({"threshold": 1.5}, "threshold", "less than or equal to 1"),
        ({"stride_s": 0.001}, "stride_s", "0.05"),
        ({"stride_s": 2}, "stride_s", "at most the 1 s of a window"),
        ({"stride_s": 0.5, "window_s": 0.4}, "stride_s", "at most the 0.4 s of a window"),
        ({"window_s": "nan"}, "window_s", "finite"),
        ({"window_s": 1.5}, "window_s", "at most the 1 s"),
        ({"keypoints": "perhaps"}, "keypoints", "boolean"),
    ],
    ids=lambda value: str(value),
)
@pytest.mark.parametrize("send", [as_form, as_bytes])
def test_a_bad_option_is_named_with_what_was_expected(client, video, engine, options, field, words, send):
    problem = assert_problem(send(client, video, options), 400, "bad-options", field, words)
    assert problem["errors"][0]["field"] == field
    assert not engine.options


def test_an_option_given_twice_is_refused(client, video):
    reply = as_form(client, video, {"top_k": 3}, params={"top_k": 4})
    assert_problem(reply, 400, "bad-options", "top_k", "once")


@pytest.mark.parametrize(
    "options", ["{", "[]", "3", "", "[" * 60_000, "\xff", '{"top_k": 1' + "0" * 5000 + "}"], ids=range(7)
)
def test_options_that_are_no_json_object_are_refused(client, video, options):
    reply = client.post("/v1/recognize", files={"file": video}, data={"options": options})
    assert (reply.status_code == 200) if not options else assert_problem(reply, 400, "bad-options", "JSON object")


@pytest.mark.parametrize(
    "options",
    ['{"\\ud800": 1}', '{"model": "\\ud800"}', '{"' + "x" * 9999 + '": 1}', '{"pose": "' + "x" * 9999 + '"}'],
    ids=range(4),
)
def test_half_a_character_or_an_endless_name_is_refused_like_any_other(client, video, options):
    reply = client.post("/v1/recognize", files={"file": video}, data={"options": options})
    assert len(assert_problem(reply, 400, "bad-options")["detail"]) < 500


def test_a_content_type_that_is_none_of_ours_is_named(client, video):
    reply = client.post("/v1/recognize", content=video, headers={"Content-Type": "image/jpeg"})
    assert_problem(reply, 415, "unsupported-content", "image/jpeg", "multipart/form-data")


@pytest.mark.parametrize("option", ["model", "pose"])
@pytest.mark.parametrize("send", [as_form, as_bytes])
def test_an_unknown_model_is_not_found_and_the_known_ones_are_listed(client, video, option, send):
    assert_problem(send(client, video, {option: "nonesuch"}), 404, "unknown-model", "nonesuch", "expected one of")
    assert send(client, video, {"model": "everyday", "pose": "movenet"}).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "slug", "detail"),
    [
        (WeightsMissing("run `marey pull x`"), 409, "weights-missing", "run `marey pull x`"),
        (ProviderMissing("no CUDA"), 503, "provider-missing", "no CUDA"),
        (BrokenBundle("altered"), 500, "broken-model", "altered"),
        (RuntimeError("secret"), 500, "internal", "unforeseen"),
        (ValueError("secret"), 500, "internal", "unforeseen"),
    ],
)
def test_a_fault_of_the_engine_is_a_problem_and_the_next_request_works(
    client, video, engine, fault, status, slug, detail
):
    engine.fault = fault
    reply = as_bytes(client, video)
    assert_problem(reply, status, slug, detail)
    assert "secret" not in reply.text
    engine.fault = None
    assert as_bytes(client, video).status_code == 200


def test_work_that_takes_too_long_is_ended(serve, engine, video):
    client = serve(create_app(Settings(deadline_s=0.1), engine=engine))
    engine.gate.clear()
    assert_problem(as_bytes(client, video), 504, "deadline-exceeded", "deadline")
    assert engine.stopped.wait(2)


def test_a_client_that_goes_away_frees_the_worker(serve, engine, video):
    client = serve(create_app(Settings(max_concurrent=1, max_queue=1), engine=engine))
    engine.gate.clear()
    with pytest.raises(Exception, match="timed out"):
        client.post("/v1/recognize", content=video, headers=BYTES, timeout=0.1)
    assert engine.stopped.wait(2)
    engine.gate.set()
    assert as_bytes(client, video).status_code == 200


def test_a_large_upload_goes_through_a_file_that_has_no_name(serve, engine, video, spool_folder):
    client = serve(create_app(Settings(spool_bytes=1024), engine=engine))
    assert as_form(client, video).status_code == 200
    assert as_bytes(client, video).status_code == 200
    assert not list(spool_folder.iterdir())
