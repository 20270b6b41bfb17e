"""Post events to an address: in order, signed, each until it is taken, and never more waiting than fit.

The signature is an HMAC over the time in ``X-Marey-Timestamp``, a full stop, and the body.
"""

import hashlib
import hmac
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import httpx
import structlog
from pydantic import SecretStr

from service.cameras.backoff import Backoff

logger = structlog.get_logger(__name__)
MAX_WAITING = 1000
TIMEOUT_S = 10.0
# Statuses below 500 that say "later" rather than "no": request time-out, too early, too many requests.
LATER = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event to be posted."""

    event_id: str
    body: bytes


class Outcome(StrEnum):
    """What became of a delivery; ``RETRIED`` is what became of one attempt."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    DROPPED = "dropped"
    RETRIED = "retried"


class Webhook:
    """One address and what waits to be posted there by a thread of its own; ``count`` hears what became of each."""

    def __init__(
        self,
        address: str,
        *,
        secret: SecretStr | None,
        backoff: Backoff,
        count: Callable[[str, Outcome], None],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._address, self._secret, self._backoff, self._count = address, secret, backoff, count
        self._host = httpx.URL(address).host
        self._deliveries: deque[Delivery] = deque()
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._stop_at_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="webhook", daemon=True)

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()

    def offer(self, delivery: Delivery) -> None:
        """Queue a delivery; the oldest is dropped where too many wait."""
        with self._changed:
            is_full = len(self._deliveries) >= self._max_waiting
            if is_full:
                self._deliveries.popleft()
            self._deliveries.append(delivery)
            self._changed.notify()
        if is_full:
            self._count(self._host, Outcome.DROPPED)
            logger.warning("webhook_event_dropped", host=self._host, waiting=self._max_waiting)

    def stop(self, *, within_s: float) -> None:
        """Try what waits once more, for so long at most; ``join`` waits for that."""
        with self._changed:
            self._stop_at_s = time.monotonic() + within_s
            self._changed.notify()

    def join(self, timeout_s: float) -> None:
        """Wait until nothing more is posted, for so long at most."""
        self._thread.join(timeout_s)
        if num_lost := len(self._deliveries):
            logger.warning("webhook_events_lost", host=self._host, lost=num_lost)

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            while delivery := self._oldest():
                outcome = self._post(client, delivery)
                self._count(self._host, outcome)
                if outcome is not Outcome.RETRIED:
                    self._remove(delivery)
                    self._backoff.reset()
                elif self._stop_at_s is None:
                    self._pause(self._backoff.next_s())
                else:
                    return

    def _oldest(self) -> Delivery | None:
        """Wait for a delivery; None when it is time to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._deliveries or self._stop_at_s is not None)
            is_late = self._stop_at_s is not None and time.monotonic() > self._stop_at_s
            return self._deliveries[0] if self._deliveries and not is_late else None

    def _remove(self, delivery: Delivery) -> None:
        """Remove a delivery, unless it was dropped while it was being posted."""
        with self._changed:
            if self._deliveries and self._deliveries[0] is delivery:
                self._deliveries.popleft()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop_at_s is not None, seconds)

    def _post(self, client: httpx.Client, delivery: Delivery) -> Outcome:
        """Try once; what the receiver answers beside its status is not read."""
        try:
            with client.stream("POST", self._address, content=delivery.body, headers=self._headers(delivery)) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            logger.warning("webhook_unreachable", host=self._host, reason=type(error).__name__)
            return Outcome.RETRIED
        if 200 <= status < 300:
            return Outcome.DELIVERED
        outcome = Outcome.RETRIED if status >= 500 or status in LATER else Outcome.REFUSED
        logger.warning("webhook_answered", host=self._host, status=status, event_id=delivery.event_id, outcome=outcome)
        return outcome

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Marey-Event-Id": delivery.event_id,
            "X-Marey-Timestamp": timestamp,
        }
        if self._secret is not None:
            headers["X-Marey-Signature"] = sign(delivery.body, timestamp, self._secret)
        return headers


def sign(body: bytes, timestamp: str, secret: SecretStr) -> str:
    """Return what ``X-Marey-Signature`` says of a body sent at that time."""
    message = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()
