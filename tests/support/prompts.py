"""Prompts in the shape in which the first caller sends them: its rules and another JSON format first, then the case."""

from typing import TypedDict


class Prompt(TypedDict):
    """The body of the three task endpoints."""

    system_prompt: str
    user_prompt: str


_FEEDBACK_SYSTEM = """당신은 IT 기업의 시니어 개발자이자 면접관입니다. \
지원자의 답변을 평가하고 건설적인 피드백을 제공하세요.
점수 기준은 다음과 같습니다.
- 1~2점: 불성실한 답변. 10자 미만, 단답, "모르겠습니다", "패스", 질문과 무관한 답변
- 3~4점: 핵심을 벗어났거나 내용이 부족한 답변
- 5~6점: 기본은 맞지만 깊이가 부족한 답변
- 7~8점: 정확하고 구체적인 답변
- 9~10점: 깊이와 경험이 모두 드러나는 답변
반드시 다음 JSON 형식으로만 응답하세요.
{"feedback": "두세 문장", "score": 7, "needsFollowUp": true, "followUpQuestion": "꼬리 질문"}"""

_STEP_SYSTEM = """당신은 백엔드 개발자 면접을 진행하는 면접관입니다. 지금은 기술 면접 단계입니다.
지원자의 답변이 모호하거나 더 확인할 점이 있으면 꼬리 질문을 하고, 충분하면 다른 주제로 넘어가세요.
꼬리 질문은 한 주제에 최대 2번까지 할 수 있습니다. 답변을 모른다고 하면 주제를 바꾸세요.
반드시 다음 JSON 형식으로만 응답하세요.
{"thought": "판단 근거", "action": "GENERATE_QUESTION 또는 NEXT_PHASE", "message": "질문", "evaluation": null}"""

_REPORT_SYSTEM = """당신은 면접 결과를 종합하는 평가자입니다. 모든 질문과 답변을 검토해 최종 리포트를 작성하세요.
반드시 다음 JSON 형식으로만 응답하세요.
{"recommendedTopics": ["주제"], "overallScore": 7, "questionFeedbacks": [{"question": "", "userAnswer": "", \
"detailedFeedback": "", "recommendedAnswer": "", "score": 5}]}"""

GOOD_ANSWER = (
    "가비지 컬렉션은 힙에서 더 이상 참조되지 않는 객체를 JVM이 자동으로 회수하는 기능입니다. "
    "Young 영역에서는 Minor GC가, "
    "Old 영역에서는 Major GC가 일어나고, 저는 G1으로 바꾸면서 일시 정지 시간을 줄인 경험이 있습니다."
)


def feedback_prompt(answer: str = GOOD_ANSWER) -> Prompt:
    """A feedback call about one answer."""
    return {
        "system_prompt": _FEEDBACK_SYSTEM,
        "user_prompt": f"질문: 자바의 가비지 컬렉션을 설명해 주세요.\n답변: {answer}\n위 답변을 평가해 주세요.",
    }


def step_prompt(follow_ups: int = 0, answer: str = GOOD_ANSWER) -> Prompt:
    """A step call after one answer."""
    return {
        "system_prompt": _STEP_SYSTEM,
        "user_prompt": "지원 직무: 백엔드 개발자 / 레벨: JUNIOR / 기술 스택: Java, Spring, MySQL\n"
        "이력서: 쇼핑몰 주문 시스템을 개발하고 조회 성능을 개선했습니다.\n\n"
        f"[질문 1] 자바의 가비지 컬렉션을 설명해 주세요.\n[답변] {answer}\n\n"
        f"꼬리 질문 횟수: {follow_ups}/2\n다음 행동을 결정하세요.",
    }


def report_prompt(questions: int = 2) -> Prompt:
    """A report call over ``questions`` answers, good and bad in turn."""
    blocks = [
        f"[질문 {i}] {'자바의 가비지 컬렉션을 설명해 주세요.' if i % 2 else '인덱스는 왜 쓰나요?'}\n"
        f"[답변] {GOOD_ANSWER if i % 2 else '잘 모르겠습니다.'}\n점수: {7 if i % 2 else 2}"
        for i in range(1, questions + 1)
    ]
    return {"system_prompt": _REPORT_SYSTEM, "user_prompt": "\n\n".join(blocks)}


def has_hangul(text: str) -> bool:
    """Whether any letter of ``text`` is Hangul."""
    return any("가" <= char <= "힣" for char in text)
