"""POST /api/report."""

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.api.auth import protected
from app.api.task_call import TASK_RESPONSES, TaskCallDep
from app.schemas.report import ReportResponse
from app.tasks.report import REPORT

router = APIRouter(route_class=protected("tasks"), prefix="/api", tags=["interview"])


@router.post("/report", responses=TASK_RESPONSES, response_model=ReportResponse)
async def report(call: TaskCallDep) -> ReportResponse | StreamingResponse:
    """Judge a whole interview."""
    return await call.answer(REPORT)
