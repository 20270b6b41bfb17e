"""GET /v1/models: what a request may name, and how good it is."""

from fastapi import APIRouter, Depends

from pipeline.errors import UnknownModel
from pipeline.pose import pose_backend_names
from service.openapi import problems
from service.schemas import ModelCard, Models, card_of
from service.security import require_key
from service.state import CurrentService, Service

router = APIRouter(tags=["models"], dependencies=[Depends(require_key)])


@router.get("/v1/models", responses=problems(401, 403))
def list_models(service: CurrentService) -> Models:
    """List every model with its card, and the pose backends."""
    return Models(models=_cards(service), poses=list(pose_backend_names()), default_pose=service.settings.pose)


@router.get("/v1/models/{name}", responses=problems(401, 403, 404))
def show_model(name: str, service: CurrentService) -> ModelCard:
    """Show one model's card."""
    cards = {card.name: card for card in _cards(service)}
    if name not in cards:
        expected = ", ".join(sorted(cards)) or "(none installed)"
        raise UnknownModel(f"unknown model {name[:60]!r}: expected one of {expected}")
    return cards[name]


def _cards(service: Service) -> list[ModelCard]:
    return [
        card_of(bundle, provider=service.engines.provider_of(name), default=name == service.settings.model)
        for name, bundle in sorted(service.engines.bundles.items())
    ]
