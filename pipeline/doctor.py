"""Look at what serving needs and say what is there, what is broken, and what to do about it.

Packages are imported inside the functions that look at them: one that cannot be imported is a finding, not a crash.
"""

import errno
import importlib
import platform
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

OLDEST_PYTHON = (3, 11)
# These hold compiled code that needs libraries of the system; the others only need to be installed.
COMPILED = ("numpy", "scipy", "av", "cv2", "onnxruntime")
DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg")
ENCODERS = ("libx264", "mpeg4")
# The smallest ONNX model there is: y = Identity(x), one float, opset 17. It tells whether a provider works at all.
PROBE = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201705a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a"
    "02080142040a001011"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. What is not ``needed`` may be missing in a healthy installation."""

    subject: str
    ok: bool
    said: str
    needed: bool = True


def examine(
    *, host: str = "127.0.0.1", port: int = 8000, model_folders: Sequence[Path] = (), cache: Path | None = None
) -> Iterator[Finding]:
    """Look at everything, one finding at a time; a package that a look needs and cannot import is a finding too."""
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        look_at_python,
        look_at_packages,
        look_at_compiled_code,
        look_at_providers,
        look_at_codecs,
        lambda: look_at_bundles(model_folders),
        lambda: look_at_weights(cache),
        lambda: look_at_port(host, port),
    )
    for look in looks:
        try:
            yield from look()
        except ImportError as error:
            yield Finding(str(error.name), False, f"cannot be imported: {error}")


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Tell whether everything that is needed works."""
    return all(finding.ok for finding in findings if finding.needed)


def look_at_python() -> Iterator[Finding]:
    """Check the interpreter's version."""
    ok = sys.version_info >= OLDEST_PYTHON
    yield Finding(
        "Python", ok, platform.python_version() if ok else f"{platform.python_version()}: 3.11 or newer is needed"
    )


def look_at_packages() -> Iterator[Finding]:
    """Check that every package that serving requires is installed, and say where the extra for training is."""
    required = [line for line in metadata.requires("marey") or () if "extra ==" not in line]
    names = [re.split(r"[^\w.-]", line)[0] for line in required if _is_for_here(line)]
    missing = [name for name in names if not _is_installed(name)]
    said = (
        f"{len(names)} of {len(names)} installed" if not missing else f"missing: {', '.join(missing)}: run make install"
    )
    yield Finding("packages", not missing, said)
    training = _is_installed("torch")
    yield Finding(
        "training", training, "torch is installed" if training else "no torch: pip install 'marey[train]'", False
    )


def look_at_compiled_code() -> Iterator[Finding]:
    """Import every package that holds compiled code."""
    for name in COMPILED:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            yield Finding(
                name, False, f"{error}: install the library it names (Debian: libgl1 and libglib2.0-0 for cv2)"
            )
        else:
            yield Finding(name, True, str(module.__version__))


def look_at_providers() -> Iterator[Finding]:
    """Run a model on every execution provider; all but the CPU may be missing."""
    from pipeline.errors import ModelError
    from pipeline.onnx import PROVIDERS, OnnxModel

    for provider in (name for name in PROVIDERS if name != "auto"):
        try:
            OnnxModel(PROBE, provider=provider, threads=1)
        except ModelError as error:
            yield Finding(f"provider {provider}", False, str(error), provider == "cpu")
        else:
            yield Finding(f"provider {provider}", True, "runs", provider == "cpu")


def look_at_codecs() -> Iterator[Finding]:
    """Check what the bundled FFmpeg can read, and what annotated videos can be written with."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    def has(name: str, mode: str) -> bool:
        try:
            Codec(name, "w" if mode == "w" else "r")
        except UnknownCodecError:
            return False
        return True

    for name in DECODERS:
        ok = has(name, "r")
        yield Finding(f"decoder {name}", ok, "there" if ok else "this build of PyAV lacks it", name == "h264")
    for name in ENCODERS:
        ok = has(name, "w")
        yield Finding(f"encoder {name}", ok, "there" if ok else "this build of PyAV lacks it", name == ENCODERS[-1])


def look_at_bundles(folders: Sequence[Path] = ()) -> Iterator[Finding]:
    """Check every recogniser's file against the sha256 in its card, and load it."""
    from pipeline.bundle import find_bundles
    from pipeline.errors import ModelError
    from pipeline.recognise import Recogniser

    try:
        bundles = find_bundles(folders)
    except ModelError as error:
        yield Finding("recognisers", False, str(error))
        return
    if not bundles:
        yield Finding("recognisers", False, "none is installed: the package is incomplete, install it again")
    for name, bundle in bundles.items():
        try:
            Recogniser(bundle, threads=1)
        except ModelError as error:
            yield Finding(f"recogniser {name}", False, str(error))
        else:
            yield Finding(f"recogniser {name}", True, f"version {bundle.card.version} loads and is what its card says")


def look_at_weights(cache: Path | None = None) -> Iterator[Finding]:
    """Say which pose backends have the weights that they do not carry; none of these is needed to serve."""
    from pipeline.errors import WeightsMissing
    from pipeline.pose.cache import locate
    from pipeline.pose.registry import weights_of_backends

    for name, files in weights_of_backends().items():
        if not files:
            continue
        try:
            found = locate(name, files, cache)
        except WeightsMissing as error:
            yield Finding(f"pose {name}", False, str(error), False)
        else:
            yield Finding(f"pose {name}", True, f"weights in {found[0].parent}", False)


def look_at_port(host: str, port: int) -> Iterator[Finding]:
    """Check that the service could listen; a port that is taken may well be the service itself."""
    subject = f"port {port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        said = (
            "in use: stop what listens there, or choose another with --port"
            if error.errno == errno.EADDRINUSE
            else str(error)
        )
        yield Finding(subject, False, said, False)
    else:
        yield Finding(subject, True, f"free on {host}", False)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _is_for_here(requirement: str) -> bool:
    """Tell whether a requirement's marker, where it has one, is true on this machine."""
    from packaging.requirements import Requirement

    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate()
