import pytest

from pipeline.pose import BackendOptions, pose_backend, pose_backend_names, register
from pipeline.pose.registry import weights_of_backends


def test_every_file_of_the_folder_has_registered_itself() -> None:
    assert {"movenet", "rtmpose-t", "rtmpose-s", "rtmpose-m", "tinypose", "mmpose"} <= set(pose_backend_names())


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match=r"unknown pose backend 'openpose': expected one of mmpose, movenet, rtmpose-m"
    ):
        pose_backend("openpose")


def test_a_name_is_given_once() -> None:
    pose_backend_names()

    def build(options: BackendOptions) -> None:
        return None

    with pytest.raises(ValueError, match="'movenet' is registered already"):
        register("movenet")(build)


def test_what_is_downloaded_is_pinned() -> None:
    pulled = [file for files in weights_of_backends().values() for file in files if file.url]
    assert pulled
    assert all(file.url.startswith("https://") and len(file.sha256 or "") == 64 for file in pulled)


def test_the_embedded_default_needs_no_download() -> None:
    assert weights_of_backends()["movenet"] == ()
