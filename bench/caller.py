"""What the first caller sends in an interview, in its shape and its sizes, and what a model says in the bench of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Prompt: TypeAlias = dict[str, str]
"""The body of a task."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of the interview.

    Attributes:
        answer: What the candidate has said before it; empty before the first question.
        follow_ups: Follow-ups asked on the topic so far.
        action: What the model decides.
        message: What it says to the candidate.
        evaluation: What it thinks of the answer.
        thought: Why it goes on so.
    """

    answer: str
    follow_ups: int
    action: str
    message: str
    evaluation: str | None
    thought: str


# First sentences of 11 to 42 characters; two messages of six are one question alone.
TURNS: Sequence[Turn] = (
    Turn(
        "",
        0,
        "NEW_TOPIC",
        "안녕하세요, 반갑습니다. 주문 조회 성능을 개선하셨다고 했는데, 무엇이 느렸고 어떻게 찾으셨나요?",
        None,
        "이력서에서 가장 구체적인 경험인 조회 성능 개선부터 묻는다.",
    ),
    Turn(
        "주문 목록을 불러올 때 주문마다 상품을 따로 조회하고 있었습니다. 쿼리 로그를 보고 알았고, 패치 조인으로 한 "
        "번에 "
        "읽도록 바꿨습니다. 그 뒤로 화면이 훨씬 빨리 열린다는 이야기를 들었습니다.",
        0,
        "FOLLOW_UP",
        "원인을 찾은 과정이 잘 들렸습니다. 패치 조인을 쓰면서 페이징은 어떻게 처리하셨나요?",
        "문제의 원인과 해결 방법을 정확히 짚었습니다. 다만 얼마나 빨라졌는지 수치로 말하지 않았습니다.",
        "해결 방법을 알고 있으니 그 방법의 한계를 아는지 더 묻는다.",
    ),
    Turn(
        "컬렉션을 패치 조인하면 메모리에서 페이징을 한다는 경고가 나와서, 주문 번호만 먼저 페이징으로 읽고 그 번호로 "
        "다시 조회했습니다. 한 번에 읽는 크기도 설정으로 정해 두었습니다.",
        1,
        "NEW_TOPIC",
        "결제 연동에서 응답이 오지 않을 때는 주문의 상태를 어떻게 정하셨나요?",
        "페이징의 함정을 스스로 발견하고 두 번에 나누어 읽는 방법으로 풀었습니다. 선택한 이유도 분명합니다.",
        "조회 성능은 충분히 확인했으므로 결제 안정화 경험으로 주제를 바꾼다.",
    ),
    Turn(
        "일단 대기 상태로 두고, 1분 뒤부터 결제사에 상태를 다시 물어보는 작업을 돌렸습니다. 세 번 물어도 모르면 "
        "담당자에게 "
        "알림을 보냈습니다. 같은 결제가 두 번 되지 않게 주문 번호를 키로 썼습니다.",
        0,
        "FOLLOW_UP",
        "중복 결제를 막은 부분이 인상적입니다. 서버 두 대가 같은 주문을 동시에 다시 물어볼 때는 어떻게 되나요?",
        "상태를 대기로 두고 다시 확인하는 흐름과 중복을 막는 키를 모두 설명했습니다. 동시에 실행될 때의 이야기는 "
        "없었습니다.",
        "재시도 작업이 여러 서버에서 돌 때를 생각해 보았는지 확인한다.",
    ),
    Turn(
        "그 부분은 처음에 놓쳤습니다. 나중에 데이터베이스에서 행을 잠그고 읽도록 바꿨고, 잠긴 행은 건너뛰게 해서 "
        "서버마다 "
        "다른 주문을 처리하게 했습니다. 그 뒤로는 같은 알림이 두 번 온 적이 없습니다.",
        1,
        "FOLLOW_UP",
        "잠긴 행을 건너뛰면 오래 남는 주문이 생길 수 있는데, 어떻게 확인하셨나요?",
        "실수를 숨기지 않고 잠금으로 해결한 과정을 말했습니다. 결과도 알림의 횟수로 확인했습니다.",
        "선택한 방법의 부작용을 운영에서 살펴보았는지 한 번 더 묻는다.",
    ),
    Turn(
        "대기 상태로 10분이 넘은 주문의 수를 지표로 만들고 다섯 건이 넘으면 알림이 오게 했습니다. 실제로 한 번 "
        "울렸는데 "
        "결제사의 점검 시간이었습니다.",
        2,
        "NEW_TOPIC",
        "네, 잘 알겠습니다. 이번에는 팀에서 코드 리뷰를 하면서 의견이 달랐던 경험을 말씀해 주시겠어요?",
        "지표와 기준을 정해 두었고 실제로 울린 사례까지 들었습니다. 운영을 생각하는 태도가 보입니다.",
        "결제 주제의 꼬리 질문을 다 썼으므로 협업 경험으로 넘어간다.",
    ),
)
FEEDBACK = (
    "원인을 찾고 고친 과정을 순서대로 설명했습니다. 사용한 방법의 이름과 이유도 맞습니다. 다만 결과를 수치로 말하지 "
    "않아서 "
    "얼마나 나아졌는지 알기 어렵습니다."
)
SUGGESTION = "바꾸기 전과 뒤의 응답 시간을 함께 말하면 더 설득력 있는 답변이 됩니다."
SCORE = 6

_STEP_FORMAT = (
    '{"thought": "판단 근거", "action": "GENERATE_QUESTION 또는 NEXT_PHASE", "message": "질문", "evaluation": null}'
)
_STEP_SYSTEM = """당신은 백엔드 개발자 면접을 진행하는 면접관입니다. 지금은 기술 면접 단계입니다.
지원자의 답변이 모호하거나 더 확인할 점이 있으면 꼬리 질문을 하고, 충분하면 다른 주제로 넘어가세요.
꼬리 질문은 한 주제에 최대 2번까지 할 수 있습니다. 답변을 모른다고 하면 힌트를 주지 말고 주제를 바꾸세요.
같은 질문을 되풀이하지 말고, 지원자의 이력서와 포트폴리오에 나온 기술을 우선해서 물어보세요.
"""
_MANNERS = (
    "질문은 한 번에 하나만 하고, 정중하고 짧게 말합니다. 지원자의 경험이 실제인지 확인할 수 있도록 구체적인 상황과 "
    "이유, "
    "결과를 물어보세요. 정답을 알려 주거나 평가를 말하지 마세요. "
)
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
_REPORT_SYSTEM = """당신은 면접 결과를 종합하는 평가자입니다. 모든 질문과 답변을 검토해 최종 리포트를 작성하세요.
반드시 다음 JSON 형식으로만 응답하세요.
{"recommendedTopics": ["주제"], "overallScore": 7, "questionFeedbacks": [{"question": "", "userAnswer": "", \
"detailedFeedback": "", "recommendedAnswer": "", "score": 5}]}"""
_RESUME = "쇼핑몰 주문 시스템을 개발하면서 조회 성능을 개선하고 결제 연동을 안정화했습니다. "
_PORTFOLIO = "주문 조회를 캐시로 옮겨 응답 시간을 줄였고, 장애를 겪은 뒤 재시도와 알림을 더했습니다. "
_SYSTEM_LENGTH = 1900  # characters


def step_prompt(candidate: str, asked: Sequence[tuple[str, str]], follow_ups: int, pasted: int) -> Prompt:
    """A step call.

    Args:
        candidate: A name, so that two interviews share only what is the same for all.
        asked: Questions and answers of this phase, oldest first.
        follow_ups: Asked on this topic so far.
        pasted: Characters each of résumé and portfolio.
    """
    rest = _SYSTEM_LENGTH - len(_STEP_SYSTEM) - len(_STEP_FORMAT)
    system = f"{_STEP_SYSTEM}{(_MANNERS * 40)[:rest]}\n반드시 다음 JSON 형식으로만 응답하세요.\n{_STEP_FORMAT}"
    blocks = "".join(f"[질문 {n}] {question}\n[답변] {answer}\n\n" for n, (question, answer) in enumerate(asked, 1))
    user = (
        f"지원자: {candidate} / 지원 직무: 백엔드 개발자 / 레벨: JUNIOR / 기술 스택: Java, Spring, MySQL\n"
        f"[이력서]\n{(_RESUME * 50)[:pasted]}\n[포트폴리오]\n{(_PORTFOLIO * 50)[:pasted]}\n\n"
        f"{blocks}꼬리 질문 횟수: {follow_ups}/2\n다음 행동을 결정하세요."
    )
    return {"system_prompt": system, "user_prompt": user}


def feedback_prompt(candidate: str, question: str, answer: str) -> Prompt:
    """A feedback call about one answer; two candidates never send the same."""
    user = f"지원자: {candidate}\n질문: {question}\n답변: {answer}\n위 답변을 평가해 주세요."
    return {"system_prompt": _FEEDBACK_SYSTEM, "user_prompt": user}


def report_prompt(candidate: str, asked: Sequence[tuple[str, str]]) -> Prompt:
    """A report call over the whole interview."""
    blocks = (f"[질문 {n}] {question}\n[답변] {answer}\n점수: {SCORE}" for n, (question, answer) in enumerate(asked, 1))
    return {"system_prompt": _REPORT_SYSTEM, "user_prompt": f"지원자: {candidate}\n\n" + "\n\n".join(blocks)}


def script(*, plainly: bool) -> dict[str, Any]:
    """What a simulated model says, by a text of its prompt: the same words in both forms.

    Args:
        plainly: The JSON that the prompt itself asks for, spaced as models space it. Else what the service asks for:
            a digit where it measures, and JSON without spaces.
    """
    feedback: dict[str, Any]
    if plainly:
        feedback = {"feedback": FEEDBACK, "score": SCORE, "needsFollowUp": True, "followUpQuestion": SUGGESTION}
        lines: dict[str, Any] = {"needsFollowUp": _json(feedback)}
    else:
        feedback = {"score": SCORE, "feedback": FEEDBACK, "improvement_suggestion": SUGGESTION}
        lines = {
            "숫자 하나만 씁니다": "3",
            "Answer only Yes or No": "Yes",
            "improvement_suggestion:": _json(feedback, compact=True),
        }
    for turn in reversed(TURNS):  # a later prompt holds the earlier answers too
        said = {"action": turn.action, "message": turn.message, "evaluation": turn.evaluation, "thought": turn.thought}
        if plainly:
            said = {"thought": turn.thought, **said, "action": "GENERATE_QUESTION"}
        lines[turn.answer or "다음 행동을 결정하세요"] = _json(said, compact=not plainly)
    return lines


def _json(value: object, *, compact: bool = False) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":") if compact else (", ", ": "))
