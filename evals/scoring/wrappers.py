"""Prompts in the shapes in which callers send them, with a question and an answer pasted in. Pure.

Five callers ask for feedback on the same answer: other roles, other labels, another order, other score bands or none,
and each asks for JSON that this service does not return. All of them state level and phase, in their own words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from types import MappingProxyType

from app.schemas.task import TaskRequest
from app.tasks.judging.case import Level, Phase
from evals.scoring.suite import Exchanged, Situation

_LEVEL_WORDS: Mapping[Level, str] = MappingProxyType(
    {"NEWCOMER": "신입", "JUNIOR": "주니어", "MID": "미들", "SENIOR": "시니어"}
)
_PHASE_WORDS: Mapping[Phase, str] = MappingProxyType(
    {"OPENING": "오프닝", "TECHNICAL": "기술 면접", "PERSONALITY": "인성 면접", "CLOSING": "클로징"}
)


@dataclass(frozen=True, slots=True)
class Wrapper:
    """One caller's way to ask for feedback.

    Attributes:
        name: For tables.
        system: Its system prompt.
        user: Its user prompt, with places for what is pasted in.
    """

    name: str
    system: str
    user: str

    def request(self, question: str, answer: str, level: Level, phase: Phase) -> TaskRequest:
        """What it sends about ``answer``."""
        words = {
            "question": question,
            "answer": answer,
            "level": level,
            "phase": phase,
            "level_word": _LEVEL_WORDS[level],
            "phase_word": _PHASE_WORDS[phase],
        }
        system, user = (Template(text).substitute(words) for text in (self.system, self.user))
        return TaskRequest.model_validate({"system_prompt": system, "user_prompt": user})


CALLER = Wrapper(
    "caller",
    """당신은 IT 기업의 시니어 개발자이자 면접관입니다. 지원자의 답변을 평가하고 건설적인 피드백을 제공하세요.
점수 기준은 다음과 같습니다.
- 1~2점: 불성실한 답변. 10자 미만, 단답, "모르겠습니다", "패스", 질문과 무관한 답변
- 3~4점: 핵심을 벗어났거나 내용이 부족한 답변
- 5~6점: 기본은 맞지만 깊이가 부족한 답변
- 7~8점: 정확하고 구체적인 답변
- 9~10점: 깊이와 경험이 모두 드러나는 답변
반드시 다음 JSON 형식으로만 응답하세요.
{"feedback": "두세 문장", "score": 7, "needsFollowUp": true, "followUpQuestion": "꼬리 질문"}""",
    """면접 단계: $phase / 레벨: $level
질문: $question
답변: $answer
위 답변을 평가해 주세요.""",
)
"""The first caller's own shape."""

WRAPPERS: tuple[Wrapper, ...] = (
    CALLER,
    Wrapper(
        "brackets, no bands",
        """너는 모의 면접 서비스의 답변 평가 도우미다. 지원자가 성장할 수 있도록 솔직하고 구체적으로 평가한다.
말투는 정중하게 하고, 없는 내용을 지어내지 않는다.""",
        """[지원자 정보]
- 경력 수준: $level_word
- 면접 단계: $phase_word

[질문]
$question

[답변]
$answer

[출력 형식]
{"점수": 0, "총평": "한 문단"} 형태의 JSON만 출력한다.""",
    ),
    Wrapper(
        "headings, instructions first",
        """# 역할
백엔드 채용 면접의 평가 위원으로서 공정하게 채점합니다.

# 채점표
1-2: 답변을 거부했거나 질문과 상관없는 말을 한 경우
3-4: 틀린 설명이 섞였거나 알맹이가 거의 없는 경우
5-6: 대체로 맞는 말이지만 겉핥기에 그친 경우
7-8: 정확하고 근거나 예가 있는 경우
9-10: 원리와 실제 경험을 함께 보여 준 경우""",
        """아래 답변을 채점표에 따라 채점하고 개선점을 알려 주세요. 결과는 JSON입니다.

## 지원자
레벨: $level
단계: $phase_word

## 질문
$question

## 지원자 답변
$answer""",
    ),
    Wrapper(
        "English labels",
        """You are an interview coach for software engineers. 면접 답변을 읽고 한국어로 피드백을 작성하세요.
칭찬과 보완점을 나누어 쓰고, 마지막에 점수를 매기세요. 점수는 10점 만점입니다.""",
        """Level: $level
Phase: $phase

Question: $question
Answer: $answer

Respond with JSON only: {"good": "...", "bad": "...", "score": 0}""",
    ),
    Wrapper(
        "bold labels, three bands",
        """지원자 답변 분석기입니다. 기술 역량과 전달력을 함께 봅니다.""",
        """**직무**: 백엔드 개발자
**레벨**: $level_word
**면접 단계**: $phase_word

**면접 질문**: $question

**지원자 답변**: $answer

---
평가 기준
- 8~10점: 뛰어난 답변
- 4~7점: 보통 답변
- 1~3점: 아쉬운 답변
JSON으로 score와 comment를 반환해 주세요.""",
    ),
)

_STEP_SYSTEM = Template("""당신은 백엔드 개발자 면접을 진행하는 면접관입니다. 지금은 $phase_word 단계입니다.
지원자의 답변이 모호하거나 더 확인할 점이 있으면 꼬리 질문을 하고, 충분하면 다른 주제로 넘어가세요.
이미 한 질문은 다시 하지 마세요. 이 단계에서 확인할 것을 다 확인했으면 다음 단계로 넘어가세요.
꼬리 질문은 한 주제에 최대 $limit번까지 할 수 있습니다. 답변을 모른다고 하면 주제를 바꾸세요.
반드시 다음 JSON 형식으로만 응답하세요.
{"thought": "판단 근거", "action": "GENERATE_QUESTION 또는 NEXT_PHASE", "message": "질문", "evaluation": null}""")
_STEP_USER = Template("""지원 직무: 백엔드 개발자 / 레벨: $level / 기술 스택: Java, Spring, MySQL
면접 단계: $phase
이력서: 쇼핑몰 주문 시스템을 개발하고 조회 성능을 개선했습니다.

현재 단계의 대화
$history

꼬리 질문 횟수: $count/$limit
다음 행동을 결정하세요.""")

_REPORT_SYSTEM = """당신은 면접 결과를 종합하는 평가자입니다. 모든 질문과 답변을 검토해 최종 리포트를 작성하세요.
반드시 다음 JSON 형식으로만 응답하세요.
{"recommendedTopics": ["주제"], "overallScore": 7, "questionFeedbacks": [{"question": "", "userAnswer": "", \
"detailedFeedback": "", "recommendedAnswer": "", "score": 5}]}"""


def step_request(situation: Situation) -> TaskRequest:
    """What the first caller sends to learn the next step."""
    words = {
        "level": situation.level,
        "phase": situation.phase,
        "phase_word": _PHASE_WORDS[situation.phase],
        "count": situation.follow_up_count,
        "limit": situation.follow_up_limit,
        "history": "\n\n".join(_block(n, one) for n, one in enumerate(situation.history, 1)) or "(없음)",
    }
    system, user = (template.substitute(words) for template in (_STEP_SYSTEM, _STEP_USER))
    return TaskRequest.model_validate({"system_prompt": system, "user_prompt": user})


def report_request(interview: Sequence[Exchanged], scores: Sequence[int]) -> TaskRequest:
    """What the first caller sends for the report, with the ``scores`` (0-10) that the answers got before."""
    blocks = "\n\n".join(
        f"{_block(number, one)}\n점수: {score}"
        for number, (one, score) in enumerate(zip(interview, scores, strict=True), 1)
    )
    return TaskRequest.model_validate({"system_prompt": _REPORT_SYSTEM, "user_prompt": blocks})


def _block(number: int, one: Exchanged) -> str:
    return f"[질문 {number}] {one.question}\n[답변] {one.answer}"
