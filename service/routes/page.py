"""The web page and the API's description for people: static files, no request to anywhere else."""

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent.parent / "web"

router = APIRouter(include_in_schema=False)
files = StaticFiles(directory=FOLDER)


@router.get("/")
async def show_page() -> FileResponse:
    """Show the page on which a video can be dropped."""
    return FileResponse(FOLDER / "index.html")


@router.get("/docs")
async def show_docs() -> FileResponse:
    """Show what /openapi.json says."""
    return FileResponse(FOLDER / "docs.html")
