"""A candidate is always left something to answer: a message asks, or it is seen that it does not."""

import pytest

from app.core.prompt_builder import LANGUAGES
from app.tasks.interview_words import FALLBACK
from app.tasks.judging.asks import asks
from app.tasks.judging.policy import PREPARED
from bench.caller import TURNS

QUESTIONS = [
    *(turn.message for turn in TURNS),
    *(question for phases in PREPARED.values() for questions in phases.values() for question in questions),
    *(str(FALLBACK[language]["message"]) for language in LANGUAGES),
    "주문 목록을 불러올 때 어떤 상품을 따로 조회했는지 알려주시면 감사하겠습니다.",
    "주문 관리 시스템의 개선 과정을 더 깊이 설명해 주세요.",
    "1분 정도로 자기소개 부탁드립니다.",
    "그때의 판단 기준이 궁금합니다.",
    "가장 기억에 남는 장애를 이야기해 보십시오.",
    "팀에서 맡은 역할을 말씀해 주시죠.",
    "어떤 주제를 더 다뤄 보고 싶으신가요",
    "Please describe the trade-offs you saw.",
    "I am curious how you measured that.",
    "그 이야기를 조금 더 해 주실 수 있을까요?",
    "질문을 다시 해 주실 수 있을까요?",
    "이 주제를 프로젝트에서 어떻게 진행하셨나요?",
    "그 단계를 건너뛸 수 있을까요?",
    "그때 동료에게 어떤 도움을 드렸나요?",
    "어떤 도움이 필요하셨나요?",
    "May I ask you how you solved it?",
    "Could we go through the outage you mentioned?",
]
STATEMENTS = [
    "네, 잘 들었습니다.",
    "다음 주제로 넘어가겠습니다.",
    "죄송합니다, 저는 지원자에게 질문을 던지지 못합니다. 다른 주제로 돌아가서 질문을 던질 수 있습니다.",
    "주문 조회를 캐시로 옮겨 응답 시간을 줄였고, 장애를 겪은 뒤 재시도와 알림을 더했습니다.",
    "현재의 답변이 도움이 되지 않습니다. 다른 주제로 질문해 보세요.",
    "안녕하세요, 반갑습니다. 다음 주제로 넘어갈게요.",
    "Thank you, I heard your answer.",
    # Said by a small model in place of a question. Who says yes to one would be scored for it.
    "죄송합니다, 현재 질문에 대해 이해하지 못했습니다. 다른 주제로 질문을 던질 수 있을까요?",
    "죄송합니다, 지금의 주제는 서비스의 일관성을 맞추는 방식입니다. 다른 질문이 필요하시면 말씀해 주세요.",
    "저는 인성 면접 단계를 진행하고 있습니다. 다음에 어떻게 도와드릴까요?",
    "어떤 부분에서 도움이 필요하시나요?",
    "다음 질문입니다. 어떤 문제에 대한 정보가 필요하시나요?",
    "한 가지 더 여쭙겠습니다. 어떤 도움을 드릴까요?",
    "성능을 향상시키는 방법에 대해 더 자세히 알려드릴까요?",
    "네, 잘 들었습니다. 다음 질문으로 넘어가도 될까요?",
    "추가로 질문을 해도 괜찮을까요?",
    "이제 어떤 주제를 더 물어볼까요?",
    "면접을 시작할 준비가 되셨습니까?",
    "Thank you. May I ask you another question?",
    "Shall we move on to the next topic?",
    "Are you ready?",
]


@pytest.mark.parametrize("message", QUESTIONS)
def test_a_question_or_a_request_asks(message: str) -> None:
    assert asks(message)
    assert asks(f"네, 잘 들었습니다. {message} 천천히 생각하셔도 됩니다.")


@pytest.mark.parametrize("message", STATEMENTS)
def test_a_statement_asks_nothing(message: str) -> None:
    assert not asks(message)
