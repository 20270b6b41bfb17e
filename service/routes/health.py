"""GET /healthz and /readyz, for whoever watches over the process."""

from fastapi import APIRouter

from service.openapi import problems
from service.schemas import Health
from service.state import CurrentService

router = APIRouter(tags=["health"])


@router.get("/healthz", responses=problems())
async def show_health() -> Health:
    """Say that the process is alive."""
    return Health(status="alive")


@router.get("/readyz", responses=problems(503))
async def show_readiness(service: CurrentService) -> Health:
    """Say whether work may be sent: every network has answered, on the device that was asked for."""
    service.readiness.check()
    return Health(status="ready")
