"""POST /api/report."""

from fastapi import APIRouter

from app.api.lean import ProtectedTasksRoute
from app.api.task_call import TASK_RESPONSES, TaskCallDep
from app.schemas.report import ReportResponse
from app.schemas.task import TaskRequest
from app.tasks.report import REPORT

router = APIRouter(route_class=ProtectedTasksRoute, prefix="/api", tags=["interview"])


@router.post("/report", responses=TASK_RESPONSES, response_model=ReportResponse)
async def report(body: TaskRequest, call: TaskCallDep) -> None:
    """Judge a whole interview."""
    await call.give(REPORT, body)
