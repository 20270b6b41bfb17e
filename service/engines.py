"""The engines that are loaded: the deployment's own for good, others when first asked for, and never too many."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property

from pipeline.bundle import Bundle, find_bundles
from pipeline.engine import Engine, load_engine
from pipeline.errors import UnknownModel
from pipeline.pose import pose_backend_names
from service.settings import Settings

Loader = Callable[[str, str], Engine]


def settings_loader(settings: Settings) -> Loader:
    """Return what loads a model with a pose backend as the settings say."""

    def load(model: str, pose: str) -> Engine:
        return load_engine(
            model=model,
            pose=pose,
            provider=settings.provider,
            threads=settings.threads,
            # A size that suits one backend may be out of range for another.
            pose_size=settings.pose_size if pose == settings.pose else None,
            model_folders=settings.model_folders,
            cache=settings.cache,
        )

    return load


class Engines:
    """The default engine, and others by model and pose backend; safe to share between threads."""

    def __init__(self, settings: Settings, load: Loader, *, default: Engine | None = None) -> None:
        self._settings = settings
        self._load = load
        self._default = default
        self._loaded: OrderedDict[tuple[str, str], Engine] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    @property
    def default(self) -> Engine | None:
        """The deployment's own engine, once it is loaded."""
        return self._default

    def load_default(self) -> Engine:
        """Return the deployment's own engine, which stays once it is loaded."""
        if self._default is None:
            self._default = self._load(self._settings.model, self._settings.pose)
        return self._default

    @cached_property
    def bundles(self) -> dict[str, Bundle]:
        """All models that can be asked for, by name, as they lay there when first asked for."""
        return find_bundles(self._settings.model_folders)

    def provider_of(self, model: str) -> str | None:
        """Return the device that a model runs on, or None if it is not loaded."""
        with self._lock:
            engines = [self._default, *self._loaded.values()]
        return next((e.recogniser.provider for e in engines if e and e.recogniser.card.name == model), None)

    def check_names(self, model: str | None, pose: str | None) -> None:
        """Check names before any work is done for them; ``UnknownModel`` lists the known ones."""
        other = model not in (None, self._settings.model) or pose not in (None, self._settings.pose)
        if other and not self._settings.max_other_engines:
            raise UnknownModel(
                f"this deployment answers with {self._settings.model} on {self._settings.pose} only; "
                "leave model and pose out"
            )
        if model not in (None, self._settings.model) and model not in (known := self.bundles):
            expected = ", ".join(sorted(known)) or "(none installed)"
            raise UnknownModel(f"unknown model {model!r}: expected one of {expected}")
        if pose not in (None, self._settings.pose) and pose not in pose_backend_names():
            raise UnknownModel(f"unknown pose backend {pose!r}: expected one of {', '.join(pose_backend_names())}")

    def engine(self, model: str | None, pose: str | None) -> Engine:
        """Return the engine for a request, loading it if need be: seconds, so not on the event loop."""
        names = (model or self._settings.model, pose or self._settings.pose)
        if names == (self._settings.model, self._settings.pose):
            return self.load_default()
        if engine := self._recall(names):
            return engine
        with self._loading:
            return self._recall(names) or self._keep(names, self._load(*names))

    def _recall(self, names: tuple[str, str]) -> Engine | None:
        with self._lock:
            if names in self._loaded:
                self._loaded.move_to_end(names)
            return self._loaded.get(names)

    def _keep(self, names: tuple[str, str], engine: Engine) -> Engine:
        """Keep an engine in place of the one that has not been asked for the longest."""
        with self._lock:
            self._loaded[names] = engine
            while len(self._loaded) > self._settings.max_other_engines:
                self._loaded.popitem(last=False)
        return engine
