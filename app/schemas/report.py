"""The final report of an interview."""

from pydantic import BaseModel, Field

from app.schemas.common import Meta


class QuestionFeedback(BaseModel):
    """The judgement of one question and its answer."""

    question: str = Field(examples=["자바의 가비지 컬렉션을 설명해 주세요."])
    answer_summary: str = Field(examples=["참조되지 않는 객체를 자동으로 회수한다고 답했다."])
    score: int = Field(ge=0, le=10, examples=[6])
    feedback: str = Field(examples=["정의는 맞지만 수집 과정에 대한 설명이 부족하다."])


class ReportResponse(BaseModel):
    """The whole interview, judged."""

    summary: str = Field(examples=["기본 개념은 탄탄하나 실무 경험을 드러내지 못했다."])
    strengths: list[str] = Field(examples=[["핵심 개념을 정확히 정의한다."]])
    improvements: list[str] = Field(examples=[["답변에 구체적인 사례가 없다."]])
    recommendations: list[str] = Field(examples=[["GC 로그를 직접 분석해 보세요."]])
    overall_score: int = Field(ge=0, le=100, examples=[62])
    question_feedbacks: list[QuestionFeedback]
    meta: Meta
