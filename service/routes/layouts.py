"""GET /v1/layouts: how joints hang together, for whoever draws people from an answer's keypoints."""

from fastapi import APIRouter, Depends

from pipeline.layouts import LAYOUTS
from service.openapi import problems
from service.schemas import LayoutAnswer, Layouts
from service.security import require_key

router = APIRouter(tags=["models"], dependencies=[Depends(require_key)])


@router.get("/v1/layouts", responses=problems(401, 403))
async def list_layouts() -> Layouts:
    """List the layouts that an answer's keypoints may have."""
    return Layouts(
        layouts=[
            LayoutAnswer(name=layout.name, joints=list(layout.joints), limbs=list(layout.bone_indices))
            for layout in LAYOUTS.values()
        ]
    )
