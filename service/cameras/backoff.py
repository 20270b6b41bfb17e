"""How long to wait before another try: twice as long each time, and never quite when others try."""

import random

FIRST_S, LONGEST_S = 1.0, 60.0


class Backoff:
    """Waits that double from ``first_s`` to ``longest_s``; each is shortened by chance to no less than half."""

    def __init__(self, rng: random.Random, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._rng, self._first_s, self._longest_s = rng, first_s, longest_s
        self._full_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now."""
        wait_s = self._full_s * self._rng.uniform(0.5, 1.0)
        self._full_s = min(2 * self._full_s, self._longest_s)
        return wait_s

    def reset(self) -> None:
        """Begin again with the shortest: it worked."""
        self._full_s = self._first_s
