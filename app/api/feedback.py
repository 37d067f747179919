"""POST /api/feedback."""

from fastapi import APIRouter

from app.api.deps import DeadlineDep, ServicesDep
from app.schemas.common import ERRORS
from app.schemas.feedback import FeedbackResponse
from app.schemas.task import TaskRequest
from app.tasks.feedback import FEEDBACK

router = APIRouter(prefix="/api", tags=["interview"])


@router.post("/feedback", responses=ERRORS)
async def feedback(body: TaskRequest, services: ServicesDep, deadline: DeadlineDep) -> FeedbackResponse:
    """Judge one answer."""
    return await FEEDBACK.run(services.engine, body, deadline)
