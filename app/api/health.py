"""GET /health and its two orchestrator forms. None of them asks the engine: a monitor does that all the time."""

import math
from typing import Any

from fastapi import APIRouter, Response
from starlette.status import HTTP_503_SERVICE_UNAVAILABLE

from app import __version__
from app.api.deps import ServicesDep
from app.schemas.health import HealthResponse

router = APIRouter(tags=["health"])

_UNHEALTHY: dict[int | str, dict[str, Any]] = {
    503: {"model": HealthResponse, "description": "The engine cannot answer now; `reason` says why."}
}


@router.get("/health", responses=_UNHEALTHY)
async def health(services: ServicesDep, response: Response) -> HealthResponse:
    """Whether an interview could be answered now."""
    engine = services.engine
    trouble = "the service is shutting down" if services.drain.draining else engine.monitor.trouble
    if trouble is not None:
        response.status_code = HTTP_503_SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = str(math.ceil(max(1.0, engine.retry_after)))
    return HealthResponse(
        status="unhealthy" if trouble else "healthy",
        service="llm-service",
        version=__version__,
        engine=engine.name,
        model=engine.model,
        reason=trouble,
    )


@router.get("/health/ready", responses=_UNHEALTHY)
async def ready(services: ServicesDep, response: Response) -> HealthResponse:
    """For load balancers: the same as /health."""
    return await health(services, response)


@router.get("/health/live")
async def live() -> dict[str, str]:
    """For orchestrators: the process itself is alive, whatever its engine does. Restart it only if this fails."""
    return {"status": "alive"}
