import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import UnknownModel
from service.engines import Engines
from service.settings import Settings


class Loader:
    def __init__(self) -> None:
        self.names: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def __call__(self, model, pose):
        with self._lock:
            self.names.append((model, pose))
        return object()


def test_the_own_engine_is_loaded_once_and_stays():
    engines = Engines(Settings(max_other_engines=1), load := Loader())
    own = engines.engine(None, None)
    for pose in ("rtmpose-t", "rtmpose-s", "rtmpose-m"):
        engines.engine(None, pose)
    assert engines.engine("everyday", "movenet") is own is engines.default
    assert load.names.count(("everyday", "movenet")) == 1


def test_others_are_loaded_when_asked_for_and_the_longest_unused_goes():
    engines = Engines(Settings(max_other_engines=2), load := Loader(), default=object())
    first = engines.engine(None, "rtmpose-t")
    engines.engine(None, "rtmpose-s")
    assert engines.engine(None, "rtmpose-t") is first
    engines.engine(None, "rtmpose-m")
    assert engines.engine(None, "rtmpose-t") is first
    engines.engine(None, "rtmpose-s")
    assert [pose for _, pose in load.names] == ["rtmpose-t", "rtmpose-s", "rtmpose-m", "rtmpose-s"]


def test_many_requests_at_once_load_one_engine():
    engines = Engines(Settings(), load := Loader(), default=object())
    with ThreadPoolExecutor(8) as threads:
        loaded = list(threads.map(lambda _: engines.engine(None, "rtmpose-t"), range(32)))
    assert len(set(map(id, loaded))) == 1
    assert len(load.names) == 1


@pytest.mark.parametrize(("model", "pose"), [("nonesuch", None), (None, "nonesuch")])
def test_unknown_names_are_refused_with_the_known_ones(model, pose):
    engines = Engines(Settings(), Loader(), default=object())
    with pytest.raises(UnknownModel, match="expected one of"):
        engines.check_names(model, pose)


def test_a_deployment_may_answer_with_one_engine_only():
    engines = Engines(Settings(max_other_engines=0), Loader(), default=object())
    engines.check_names("everyday", "movenet")
    with pytest.raises(UnknownModel, match="everyday on movenet only"):
        engines.check_names(None, "rtmpose-t")
