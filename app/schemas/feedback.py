"""Feedback on one answer."""

from pydantic import BaseModel, Field

from app.schemas.common import Meta


class FeedbackResponse(BaseModel):
    """A judgement of one answer."""

    feedback: str = Field(max_length=5000, examples=["핵심 개념은 정확하지만 세대별 수집 과정에 대한 설명이 없습니다."])
    score: int = Field(ge=0, le=10, examples=[6])
    is_passed: bool = Field(examples=[True])
    improvement_suggestion: str | None = Field(
        max_length=2000, examples=["Minor GC와 Major GC의 차이를 예로 들어 보세요."]
    )
    meta: Meta
