import threading

import pytest

from pipeline.draw import annotate
from service.errors import InsufficientStorage
from service.jobs import annotated
from service.work import Stopped


@pytest.fixture
def done(open_desk, hand_in, finish):
    """A desk and a job that is done."""
    desk = open_desk()
    desk.start()
    job_id = hand_in(desk)
    finish(desk, job_id)
    return desk, job_id


class SlowAnnotation:
    """Draws as ever, but waits at the first frame until ``gate`` is open."""

    def __init__(self, monkeypatch):
        self.entered, self.gate = threading.Event(), threading.Event()
        self.num_begun = 0
        monkeypatch.setattr(annotated, "annotate", self)

    def __call__(self, *args, on_progress, **kwargs):
        self.num_begun += 1

        def report(share):
            self.entered.set()
            assert self.gate.wait(5)
            on_progress(share)

        annotate(*args, on_progress=report, **kwargs)


def test_a_film_is_made_once_however_many_ask(done, monkeypatch):
    desk, job_id = done
    annotation = SlowAnnotation(monkeypatch)
    first, second = desk.make_film(job_id), desk.make_film(job_id)
    annotation.gate.set()
    first.result(5), second.result(5)
    desk.make_film(job_id).result(0)
    assert annotation.num_begun == 1
    assert desk.film(job_id).stat().st_size


def test_a_job_that_is_removed_takes_its_film_along(done, monkeypatch, root):
    desk, job_id = done
    annotation = SlowAnnotation(monkeypatch)
    making = desk.make_film(job_id)
    assert annotation.entered.wait(5)
    desk.withdraw(job_id)
    annotation.gate.set()
    with pytest.raises(Stopped):
        making.result(5)
    assert [path for path in root.iterdir() if path.is_dir()] == []


def test_a_service_that_stops_leaves_its_film_and_makes_it_another_time(done, monkeypatch, open_desk):
    desk, job_id = done
    annotation = SlowAnnotation(monkeypatch)
    making = desk.make_film(job_id)
    assert annotation.entered.wait(5)
    closing = threading.Thread(target=desk.close)
    closing.start()
    assert desk._annotated._stopping.wait(5)
    annotation.gate.set()
    closing.join()
    with pytest.raises(Stopped):
        making.result(5)
    assert not desk.film(job_id).exists()
    desk = open_desk()
    desk.make_film(job_id).result(5)
    assert desk.film(job_id).exists()


def test_a_disk_without_room_for_a_film_is_said_and_it_can_be_asked_for_again(done, monkeypatch):
    desk, job_id = done
    with monkeypatch.context() as patch:
        patch.setattr(annotated, "annotate", fill)
        with pytest.raises(InsufficientStorage):
            desk.make_film(job_id).result(5)
    desk.make_film(job_id).result(5)


def fill(*_, **__):
    raise OSError(28, "No space left on device")
