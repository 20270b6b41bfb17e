"""Tell the container engine whether the service answers: exit code 0 if it does, 1 if not."""

import os
import sys
import urllib.request

TIMEOUT_S = 4


def is_alive(port: str) -> bool:
    """Ask the service in this container for its health."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(os.environ.get("MAREY_PORT") or "8000") else 1)
