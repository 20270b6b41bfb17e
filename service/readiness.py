"""Whether the service may be sent work: every network has answered once, on the device that was asked for."""

import threading

import structlog

from service.engines import Engines
from service.errors import NotReady
from service.settings import Settings

logger = structlog.get_logger(__name__)


class Readiness:
    """Not ready until warmed up; not ready again if a GPU was asked for and something else is used."""

    def __init__(self, settings: Settings, engines: Engines) -> None:
        self._settings = settings
        self._engines = engines
        self._tried = threading.Event()
        self._obstacle: str | None = "the models have not answered yet; try again in a moment"

    def warm_up(self) -> None:
        """Load the deployment's own engine and let every network of it answer once, however that ends."""
        try:
            self._engines.load_default().warm_up()
        except Exception as error:
            logger.exception("warm_up_failed")
            self._obstacle = f"the models did not answer when they were tried: {error}"
        else:
            self._obstacle = None
        finally:
            self._tried.set()

    def wait(self) -> None:
        """Wait until the networks have been tried, however that ended."""
        self._tried.wait()

    def check(self) -> None:
        """Raise ``NotReady`` with the reason if no work should be sent."""
        if self._obstacle:
            raise NotReady(self._obstacle)
        asked = self._settings.provider
        used = self._engines.load_default().recogniser.provider
        if asked not in ("auto", used):
            raise NotReady(f"expected models to run on {asked} (MAREY_PROVIDER), but they run on {used}")
