import re
import signal
import subprocess
import sys

import httpx
import pytest

from service.settings import Settings

SCRIPT = """
import sys
from service.serve import run
from service.settings import Settings
run(Settings(port=0, model=sys.argv[1]))
"""


def test_a_model_that_is_not_there_stops_it_before_anything_listens():
    ended = subprocess.run([sys.executable, "-c", SCRIPT, "nonesuch"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "UnknownModel: unknown model 'nonesuch'" in ended.stderr
    assert "Uvicorn running" not in ended.stderr


SCRIPT_WITH_FAKE = """
import service.serve
from service.settings import Settings
from types import SimpleNamespace
engine = SimpleNamespace(warm_up=lambda: None, recogniser=SimpleNamespace(provider="cpu"))
service.serve.settings_loader = lambda settings: lambda model, pose: engine
service.serve.run(Settings(port=0, log_json=True))
"""


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_on_this_machine_and_ends_in_order_when_told_to(stop):
    with subprocess.Popen([sys.executable, "-c", SCRIPT_WITH_FAKE], stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = iter(process.stderr)
            url = next(match[0] for line in lines if (match := re.search(r"http://[\d.]+:\d+", line)))
            assert url.startswith(f"http://{Settings().host}:")
            assert httpx.get(f"{url}/healthz", trust_env=False).json() == {"status": "alive"}
            process.send_signal(stop)
            assert "Application shutdown complete" in "".join(lines)
        finally:
            process.kill()
