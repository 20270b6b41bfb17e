"""The container files, read as a builder would read them, and what they copy, run."""

import importlib.util
import os
import re
import shlex
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from service.settings import ENV_PREFIX, Settings

ROOT = Path(__file__).parents[1]
TARGETS = ("cpu", "gpu")
# The keys of the compose specification that are used here; a misspelt one would be refused or, worse, left out.
TOP_LEVEL_KEYS = {"services", "volumes"}
SERVICE_KEYS = {
    *("build", "cap_drop", "deploy", "environment", "healthcheck", "image", "init", "ports", "profiles", "restart"),
    *("security_opt", "stop_grace_period", "volumes"),
}
HEALTHCHECK_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
# Where a container keeps things is the image's business.
FIXED_SETTINGS = {"host", "port", "cache", "model_folders", "jobs_folder"}


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile, with its continuation lines joined."""

    instruction: str
    arguments: str


@dataclass(frozen=True)
class Stage:
    base: str
    steps: tuple[Step, ...]

    def all(self, instruction: str) -> list[str]:
        return [step.arguments for step in self.steps if step.instruction == instruction]


def read_steps() -> list[Step]:
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    found: dict[str, tuple[str, list[Step]]] = {}
    current: list[Step] = []
    for step in read_steps():
        if step.instruction == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\w+)", step.arguments).groups()  # type: ignore[union-attr]  # or it fails
            current = []
            found[name] = (base, current)
        else:
            current.append(step)
    return {name: Stage(base, tuple(steps)) for name, (base, steps) in found.items()}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture
def healthcheck() -> ModuleType:
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "docker" / "healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copied(stage: Stage) -> list[tuple[str | None, list[str], str]]:
    """Return (stage copied from, sources, destination) of every COPY."""
    copies = []
    for arguments in stage.all("COPY"):
        words = arguments.split()
        origin = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else None
        copies.append((origin, words[:-1], words[-1]))
    return copies


def test_every_target_is_a_stage(stages: dict[str, Stage]) -> None:
    assert {*TARGETS, "build"} == set(stages)


def test_every_instruction_is_one_that_builders_know() -> None:
    known = {
        "ARG",
        "FROM",
        "WORKDIR",
        "RUN",
        "COPY",
        "ENV",
        "USER",
        "EXPOSE",
        "VOLUME",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    }
    assert {step.instruction for step in read_steps()} <= known


def test_every_copied_source_exists(stages: dict[str, Stage]) -> None:
    for stage in stages.values():
        for origin, sources, _ in copied(stage):
            assert origin is None or origin in stages
            assert all(origin or (ROOT / source).exists() for source in sources), sources


def test_the_builder_is_sent_everything_that_is_copied(stages: dict[str, Stage]) -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {source.rstrip("/") for origin, paths, _ in copied(stages["build"]) if not origin for source in paths}
    assert sources == sent


def test_every_module_that_serving_imports_is_copied(stages: dict[str, Stage]) -> None:
    sources = {source.rstrip("/") for _, paths, _ in copied(stages["build"]) for source in paths}
    assert {"pipeline", "service", "marey.py", "terminal.py", "pyproject.toml"} <= sources
    assert not {"models", "training", "tests"} & sources


def test_the_image_installs_what_make_install_does(stages: dict[str, Stage]) -> None:
    recipe = (ROOT / "Makefile").read_text().split("\n$(SERVING):", 1)[1].split("\n\n", 1)[0]
    made = re.findall(r"\$\(PIP\) (install .*)", recipe)
    installed = [re.findall(r"pip .*?(install .*)", line) for line in stages["build"].all("RUN")]
    assert [command for commands in installed for command in commands] == made


def test_torch_is_nowhere_in_the_images(stages: dict[str, Stage]) -> None:
    assert "torch" not in (ROOT / "Dockerfile").read_text()
    serving = (ROOT / "pyproject.toml").read_text().split("dependencies = [", 1)[1].split("\n]", 1)[0]
    assert "torch" not in serving


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_serves_as_a_user_without_rights(stages: dict[str, Stage], target: str) -> None:
    assert stages[target].all("USER") == ["marey"]
    assert "useradd --system --uid 10001" in (ROOT / "docker" / "prepare").read_text()


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_examined_while_it_is_built(stages: dict[str, Stage], target: str) -> None:
    assert "marey doctor" in stages[target].all("RUN")


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_checks_its_health_with_a_file_that_is_copied(stages: dict[str, Stage], target: str) -> None:
    (check,) = stages[target].all("HEALTHCHECK")
    program, script = yaml.safe_load(check.split("CMD ", 1)[1])
    assert program == "python"
    assert (ROOT / Path(script).relative_to("/opt/marey")).is_file()
    assert "curl" not in check


def test_the_targets_differ_in_their_base_and_provider_only(stages: dict[str, Stage]) -> None:
    def common(stage: Stage) -> list[Step]:
        steps = [step for step in stage.steps if step.instruction not in ("RUN", "COPY", "ENV")]
        words = [
            word for env in stage.all("ENV") for word in env.split() if "PROVIDER" not in word and "CUDA" not in word
        ]
        return [*steps, *(Step("ENV", word) for word in words)]

    assert common(stages["cpu"]) == common(stages["gpu"])


def test_the_cuda_base_fits_the_wheel_that_is_installed() -> None:
    package_info = pytest.importorskip("onnxruntime.capi.build_and_package_info")
    if not getattr(package_info, "cuda_version", None):
        pytest.skip("this wheel of onnxruntime has no CUDA provider to compare with")
    tag = next(step.arguments for step in read_steps() if step.arguments.startswith("CUDA_IMAGE=")).split(":")[1]
    assert tag.split(".")[0] == package_info.cuda_version.split(".")[0]
    assert "cudnn-runtime" in tag


def test_the_variables_of_the_images_are_settings(stages: dict[str, Stage]) -> None:
    for target in TARGETS:
        names = re.findall(r"MAREY_(\w+)=", " ".join(stages[target].all("ENV")))
        assert {name.lower() for name in names} <= set(Settings.model_fields)


def test_compose_uses_known_keys_only(compose: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == TOP_LEVEL_KEYS
    for service in compose["services"].values():
        assert set(service) <= SERVICE_KEYS
        assert set(service["healthcheck"]) == HEALTHCHECK_KEYS


def test_compose_without_a_profile_starts_the_gpu_service_alone(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if not service.get("profiles")] == ["marey"]
    service = compose["services"]["marey"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert service["environment"]["MAREY_PROVIDER"] == "cuda"
    assert service["build"] == {"context": ".", "target": "gpu"}


def test_the_cpu_service_asks_for_no_gpu(compose: dict[str, Any]) -> None:
    service = compose["services"]["marey-cpu"]
    assert service["profiles"] == ["cpu"]
    assert "deploy" not in service
    assert "depends_on" not in service
    assert service["environment"]["MAREY_PROVIDER"] == "cpu"
    assert service["build"]["target"] == "cpu"


def test_compose_lets_only_this_machine_in_unless_told_otherwise(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["ports"] == ["${PUBLISH_ADDRESS:-127.0.0.1}:${PUBLISH_PORT:-8000}:8000"]


def test_compose_keeps_models_in_a_volume_that_is_declared(compose: dict[str, Any], stages: dict[str, Stage]) -> None:
    for service in compose["services"].values():
        (mount,) = service["volumes"]
        name, path = mount.split(":")
        assert name in compose["volumes"]
        assert path in stages[service["build"]["target"]].all("VOLUME")


def test_compose_hands_on_every_setting(compose: dict[str, Any]) -> None:
    expected = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields if name not in FIXED_SETTINGS}
    for service in compose["services"].values():
        assert set(service["environment"]) == expected


@pytest.mark.parametrize("name", ["entrypoint", "prepare"])
def test_scripts_may_be_run_and_parse(name: str) -> None:
    script = ROOT / "docker" / name
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ("", "serve --host 0.0.0.0"),
        ("serve --port 9000", "serve --host 0.0.0.0 --port 9000"),
        ("--model other", "serve --host 0.0.0.0 --model other"),
        ("recognize clip.mp4 --json", "recognize clip.mp4 --json"),
        ("doctor", "doctor"),
    ],
    ids=["nothing", "serve", "an option", "recognize", "doctor"],
)
def test_the_entrypoint_runs_a_command_of_marey(tmp_path: Path, given: str, run: str) -> None:
    stand_in = tmp_path / "marey"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    folders = {"MAREY_CACHE": str(tmp_path / "weights"), "MAREY_MODEL_FOLDERS": str(tmp_path / "bundles")}
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **folders}
    said = subprocess.run(
        [str(ROOT / "docker" / "entrypoint"), *shlex.split(given)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == run
    assert (tmp_path / "bundles").is_dir()


class FakeService(BaseHTTPRequestHandler):
    """Answers every request with the status that the server was given."""

    def do_GET(self) -> None:
        healthy = self.path == "/healthz" and self.server.server_name != "ill"
        self.send_response(200 if healthy else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


@pytest.fixture
def fake_service() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), FakeService) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_service_that_answers_is_healthy(healthcheck: ModuleType, fake_service: HTTPServer) -> None:
    assert healthcheck.is_alive(str(fake_service.server_port))


def test_a_service_that_answers_with_an_error_is_not_healthy(healthcheck: ModuleType, fake_service: HTTPServer) -> None:
    fake_service.server_name = "ill"
    assert not healthcheck.is_alive(str(fake_service.server_port))


def test_a_service_that_is_not_there_is_not_healthy(healthcheck: ModuleType, fake_service: HTTPServer) -> None:
    port = fake_service.server_port
    fake_service.server_close()
    assert not healthcheck.is_alive(str(port))


def test_the_health_check_needs_nothing_but_python() -> None:
    # -S leaves site-packages out.
    check = "import runpy, sys; runpy.run_path(sys.argv[1])"
    subprocess.run([sys.executable, "-S", "-c", check, str(ROOT / "docker" / "healthcheck.py")], check=True)
