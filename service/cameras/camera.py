"""Watch one camera for as long as the service runs: connect, follow who does what, and connect again."""

import threading

import structlog

from pipeline.errors import MareyError
from pipeline.sources import without_credentials
from service.cameras.backoff import Backoff
from service.cameras.reader import Reader
from service.cameras.session import Session, Watch
from service.cameras.status import CameraState, CameraStatus, Ledger
from service.errors import ServiceError

logger = structlog.get_logger(__name__)
# A camera that sent frames for so long was well: its next loss begins with a short wait again.
SETTLED_S = 60.0
STOPPED = "the service was stopped"
UNFORESEEN = "an unforeseen error; the service's log has it"


class Camera:
    """One camera and the thread that watches it."""

    def __init__(self, name: str, address: str, watch: Watch, *, backoff: Backoff) -> None:
        self._name, self._address, self._watch, self._backoff = name, address, watch, backoff
        self._ledger = Ledger(name, watch.clocks)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._reader: Reader | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera-{name}", daemon=True)

    @property
    def status(self) -> CameraStatus:
        """How it is doing now."""
        return self._ledger.status()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; ``join`` waits for the last events."""
        with self._lock:
            self._stopping.set()
            if self._reader:
                self._reader.close()

    def join(self, timeout_s: float) -> bool:
        """Wait until nothing more is published, for so long at most; tell whether that is so."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while reader := self._connect():
            session = Session(self._name, self._watch, reader, self._ledger)
            reason = self._attend(session)
            if self._stopping.is_set():
                return
            self._ledger.enter(CameraState.WAITING, error=reason)
            if session.lived_s >= SETTLED_S:
                self._backoff.reset()
            wait_s = self._backoff.next_s()
            logger.warning("camera_lost", camera=self._name, reason=reason, wait_s=round(wait_s, 1))
            self._stopping.wait(wait_s)

    def _connect(self) -> Reader | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._ledger.enter(CameraState.CONNECTING)
            self._reader = self._watch.open_reader(self._address)
            return self._reader

    def _attend(self, session: Session) -> str:
        """Watch until nothing more comes, and return why."""
        try:
            session.run()
        except (MareyError, ServiceError) as error:
            # Even without its user an address may hold a secret, in its query for one.
            reason = str(error).replace(without_credentials(self._address), self._name)
        except Exception:
            logger.exception("unforeseen", camera=self._name)
            reason = UNFORESEEN
        else:
            reason = STOPPED
        session.end(reason)
        return reason
