"""Run the service in this process until it is told to stop."""

import uvicorn

from service.app import create_app
from service.engines import settings_loader
from service.logs import configure_logging
from service.settings import Settings
from service.streams.transport import websocket_options

# Seconds that requests in flight have to end once the service is told to stop.
GRACE_S = 10


def run(settings: Settings) -> None:
    """Load the models and serve; a model that cannot be loaded raises its ``MareyError`` before anything listens."""
    configure_logging(settings)
    engine = settings_loader(settings)(settings.model, settings.pose)
    uvicorn.run(
        create_app(settings, engine=engine),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        **websocket_options(settings),
    )
