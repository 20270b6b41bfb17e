import re

import pytest

from service.app import create_app
from service.metrics import Metrics
from service.settings import Settings

KEY = "k" * 32
BYTES = {"Content-Type": "application/octet-stream"}


def values_in(text: str) -> dict[str, float]:
    """Return samples by name and labels, as Prometheus' text has them."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


@pytest.fixture
def scrape(serve, engine):
    """Start a service and return it, and a way to read its metrics."""

    def start(**settings):
        client = serve(create_app(Settings(**settings), engine=engine))
        return client, lambda: values_in(client.get("/metrics").text)

    return start


def test_requests_are_counted_by_method_route_and_status(scrape, video):
    client, read = scrape()
    client.post("/v1/recognize", content=video, headers=BYTES)
    client.post("/v1/recognize", content=b"text", headers=BYTES)
    client.get("/v1/models/everyday")
    client.get("/v1/models/other")
    values = read()
    for method, route, status in [
        ("POST", "/v1/recognize", 200),
        ("POST", "/v1/recognize", 415),
        ("GET", "/v1/models/{name}", 200),
        ("GET", "/v1/models/{name}", 404),
    ]:
        labels = f'{{method="{method}",route="{route}",status="{status}"}}'
        assert values[f"marey_request_seconds_count{labels}"] == 1
        assert 0 < values[f"marey_request_seconds_sum{labels}"] < 10
    assert values['marey_problems_total{problem="not-a-video"}'] == 1
    assert values['marey_problems_total{problem="unknown-model"}'] == 1


def test_nothing_that_a_client_makes_up_becomes_a_label(scrape):
    client, read = scrape()
    for index in range(5):
        client.get(f"/secret-{index}")
        client.get(f"/web/secret-{index}")
        client.request(f"SECRET{index}", "/v1/models")
        client.get("/v1/models", headers={"X-Request-ID": f"secret-secret-{index}"})
    text = client.get("/metrics").text.lower()
    assert "secret" not in text
    assert read()['marey_request_seconds_count{method="GET",route="other",status="404"}'] == 10


def test_what_each_stage_took_and_the_wait_are_timed(scrape, video):
    client, read = scrape()
    for _ in range(3):
        client.post("/v1/recognize", content=video, headers=BYTES)
    values = read()
    stages = set(re.findall(r'marey_stage_seconds_count\{stage="(\w+)"\}', " ".join(values)))
    assert stages == {"decode", "pose", "recognise"}
    assert values['marey_stage_seconds_count{stage="pose"}'] == 3
    assert values['marey_stage_seconds_sum{stage="pose"}'] == pytest.approx(0.006, rel=0.01)
    assert values["marey_queue_wait_seconds_count"] == 3


def test_the_model_what_is_pending_and_the_process_are_told(scrape):
    _, read = scrape()
    values = read()
    (info,) = [name for name in values if name.startswith("marey_model_info")]
    assert 'name="everyday"' in info
    assert 'provider="cpu"' in info
    assert values["marey_pending_requests"] == 0
    assert values['marey_jobs{status="queued"}'] == 0
    assert values["process_resident_memory_bytes"] > 1e6


def test_cameras_are_told_by_name_without_their_addresses(scrape, log):
    client, read = scrape(cameras="door=http://me:hunter2@127.0.0.1:9/video")
    values = read()
    assert sum(values[f'marey_camera_state{{camera="door",state="{state}"}}'] for state in STATES) == 1
    assert values['marey_camera_reconnects_total{camera="door"}'] == 0
    assert "hunter2" not in client.get("/metrics").text


STATES = ("connecting", "live", "waiting")


def test_two_applications_count_for_themselves(scrape):
    first, read_first = scrape()
    _, read_second = scrape()
    first.get("/healthz")
    name = 'marey_request_seconds_count{method="GET",route="/healthz",status="200"}'
    assert read_first()[name] == 1
    assert name not in read_second()


def test_where_there_are_keys_one_is_needed(scrape):
    client, _ = scrape(api_keys=(KEY,))
    assert client.get("/metrics").status_code == 401
    reply = client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"})
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain; version=")


def test_live_frames_streams_batches_and_webhooks_are_counted():
    metrics = Metrics()
    with metrics.stream_open():
        metrics.saw_answer("stream", lag_s=0.03)
        metrics.left_out("stream", "late", 3)
        metrics.saw_batch("pose", 4)
        metrics.saw_webhook("hooks.example.org", "retried")
        values = values_in(metrics.exposition().decode())
    assert values["marey_streams"] == 1
    assert values['marey_frames_total{outcome="processed",source="stream"}'] == 1
    assert values['marey_frames_total{outcome="late",source="stream"}'] == 3
    assert values['marey_lag_seconds_bucket{le="0.05",source="stream"}'] == 1
    assert values['marey_batch_size_sum{stage="pose"}'] == 4
    assert values['marey_webhook_events_total{host="hooks.example.org",outcome="retried"}'] == 1
    assert values_in(metrics.exposition().decode())["marey_streams"] == 0
