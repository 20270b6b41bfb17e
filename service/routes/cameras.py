"""GET /v1/cameras: how the cameras are doing that the service reads by itself."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from service.cameras.status import CameraStatus
from service.openapi import problems
from service.security import require_key
from service.state import CurrentService

router = APIRouter(tags=["cameras"], dependencies=[Depends(require_key)])


class CameraList(BaseModel):
    """Every camera that the deployment names."""

    cameras: list[CameraStatus]


@router.get("/v1/cameras", responses=problems(401, 403))
async def list_cameras(service: CurrentService) -> CameraList:
    """List the cameras: whether frames come, since when, how many are looked at a second and with what lag."""
    return CameraList(cameras=service.cameras.statuses())
