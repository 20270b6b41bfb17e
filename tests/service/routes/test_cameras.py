from datetime import datetime

from service.app import create_app
from service.settings import Settings

KEY = "k" * 32
NOWHERE = "http://me:hunter2@127.0.0.1:9/video?token=hunter2"


def test_a_camera_that_cannot_be_reached_is_listed_with_the_reason_and_without_its_address(
    serve, engine, log, wait_until
):
    client = serve(create_app(Settings(cameras=f"door={NOWHERE}"), engine=engine))
    wait_until(lambda: client.get("/v1/cameras").json()["cameras"][0]["state"] == "waiting")
    reply = client.get("/v1/cameras")
    assert reply.status_code == 200
    (camera,) = reply.json()["cameras"]
    assert camera["name"] == "door"
    assert datetime.fromisoformat(camera["since"]).utcoffset().total_seconds() == 0
    assert (camera["last_frame_at"], camera["fps"], camera["lag_ms"]) == (None, 0, None)
    assert camera["last_error"].startswith("door cannot be opened")
    assert "hunter2" not in reply.text + str(log)


def test_without_cameras_the_list_is_empty(client):
    assert client.get("/v1/cameras").json() == {"cameras": []}


def test_where_there_are_keys_one_is_needed(serve, engine):
    client = serve(create_app(Settings(api_keys=(KEY,)), engine=engine))
    assert client.get("/v1/cameras").status_code == 401
    assert client.get("/v1/cameras", headers={"X-API-Key": KEY}).status_code == 200
