"""GET /metrics, for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_PLAIN_1_0_0
from starlette.exceptions import HTTPException
from starlette.status import HTTP_404_NOT_FOUND

from app.api.auth import protected
from app.api.deps import ServicesDep
from app.telemetry.metrics import exposition

router = APIRouter(route_class=protected("metrics"), tags=["operation"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(services: ServicesDep) -> Response:
    """The service's figures in Prometheus's text format; each is explained in its HELP line."""
    registry = services.registry
    if registry is None:
        raise HTTPException(HTTP_404_NOT_FOUND)
    return Response(exposition(registry), media_type=CONTENT_TYPE_PLAIN_1_0_0)
