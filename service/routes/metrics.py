"""GET /metrics, for Prometheus."""

from fastapi import APIRouter, Depends
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import PlainTextResponse, Response

from service.openapi import problems
from service.security import require_key
from service.state import CurrentService

router = APIRouter(tags=["health"], dependencies=[Depends(require_key)])


@router.get("/metrics", response_class=PlainTextResponse, responses=problems(401, 403))
def show_metrics(service: CurrentService) -> Response:
    """Show counters and timings in Prometheus' text format."""
    return Response(service.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
