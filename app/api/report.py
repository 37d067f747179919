"""POST /api/report."""

from fastapi import APIRouter

from app.api.deps import DeadlineDep, ServicesDep
from app.schemas.common import ERRORS
from app.schemas.report import ReportResponse
from app.schemas.task import TaskRequest
from app.tasks.report import REPORT

router = APIRouter(prefix="/api", tags=["interview"])


@router.post("/report", responses=ERRORS)
async def report(body: TaskRequest, services: ServicesDep, deadline: DeadlineDep) -> ReportResponse:
    """Judge a whole interview."""
    return await REPORT.run(services.engine, body, deadline)
