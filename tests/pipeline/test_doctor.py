"""What the doctor finds, on this installation and on ones that are broken on purpose."""

import socket
import sys
from pathlib import Path

import pytest

from pipeline import doctor
from pipeline.doctor import Finding


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_this_installation_can_decode_and_run_models() -> None:
    findings = [*doctor.look_at_python(), *doctor.look_at_packages(), *doctor.look_at_compiled_code()]
    findings += [*doctor.look_at_providers(), *doctor.look_at_codecs()]
    assert [finding for finding in findings if finding.needed and not finding.ok] == []


def test_what_is_not_needed_may_be_missing() -> None:
    assert doctor.is_healthy([Finding("provider cpu", True, "runs"), Finding("provider cuda", False, "absent", False)])
    assert not doctor.is_healthy([Finding("provider cpu", False, "does not run")])


def test_a_package_that_cannot_be_imported_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert not by_subject(list(doctor.look_at_compiled_code()))["cv2"].ok


def test_an_examination_goes_on_after_a_look_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pipeline.onnx", None)
    findings = by_subject(list(doctor.examine(port=0)))
    assert not findings["pipeline.onnx"].ok
    assert findings["port 0"].ok


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (finding,) = doctor.look_at_port("127.0.0.1", taken.getsockname()[1])
    assert not finding.ok
    assert not finding.needed
    assert "in use" in finding.said


def test_a_host_that_does_not_exist_is_a_finding() -> None:
    (finding,) = doctor.look_at_port("256.0.0.1", 8000)
    assert not finding.ok


def test_a_folder_with_a_broken_bundle_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"")
    assert any(not finding.ok for finding in doctor.look_at_bundles([tmp_path]))


def test_weights_that_are_not_in_the_cache_are_not_needed(tmp_path: Path) -> None:
    findings = list(doctor.look_at_weights(tmp_path))
    assert findings
    assert not any(finding.ok or finding.needed for finding in findings)
