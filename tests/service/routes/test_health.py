import pytest

from service.app import create_app
from service.settings import Settings


def until_ready(client):
    while (reply := client.get("/readyz")).status_code == 503 and "not answered yet" in reply.json()["detail"]:
        pass
    return reply


def test_a_service_that_runs_is_alive(client):
    assert client.get("/healthz").json() == {"status": "alive"}


def test_it_is_ready_once_the_models_have_answered(serve, engine):
    engine.gate.clear()
    client = serve(create_app(Settings(), engine=engine))
    reply = client.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["type"] == "urn:marey:problem:not-ready"
    assert client.get("/healthz").status_code == 200
    engine.gate.set()
    assert until_ready(client).json() == {"status": "ready"}


def test_it_is_not_ready_if_a_model_did_not_answer(serve, engine, log):
    engine.fault = RuntimeError("no memory")
    client = serve(create_app(Settings(), engine=engine))
    reply = until_ready(client)
    assert reply.status_code == 503
    assert "no memory" in reply.json()["detail"]
    assert any(line["event"] == "warm_up_failed" for line in log)


@pytest.mark.parametrize(
    ("asked", "used", "status"),
    [("cuda", "cuda", 200), ("cuda", "cpu", 503), ("tensorrt", "cuda", 503), ("auto", "cpu", 200), ("cpu", "cpu", 200)],
)
def test_it_is_not_ready_on_another_device_than_asked_for(serve, make_engine, asked, used, status):
    client = serve(create_app(Settings(provider=asked), engine=make_engine("everyday", provider=used)))
    reply = until_ready(client)
    assert reply.status_code == status
    if status == 503:
        assert f"run on {used}" in reply.json()["detail"]
