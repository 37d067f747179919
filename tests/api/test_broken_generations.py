"""Whatever an engine does to an answer, the caller gets a legal one in time, from two generations at most.

Before them there may be calls of one token: one that measures the answer, one that asks whether it is to be believed,
and one for the first token of a step whose action is open. A report has a review for each question.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import pytest
from pydantic import BaseModel

from app.core.retry import RetryPolicy
from app.schemas.feedback import FeedbackResponse
from app.schemas.interview import InterviewStepResponse
from app.schemas.report import ReportResponse
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.judging.doubt import GRAMMAR as BELIEF
from app.tasks.judging.rubric import GRAMMAR as DIGIT
from tests.api.judged import bodies, last_heard, of_its_words, tries
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.prompts import feedback_prompt, report_prompt, step_prompt
from tests.support.service import Service, wait_until

DEADLINE = 8
STALL = 1
GREETING = {"messages": [{"role": "user", "content": "인사해 주세요."}], "max_tokens": 8}
CHUNKS = 64  # a runaway is cut within this many pieces of its beginning
TASKS: dict[str, tuple[Any, type[BaseModel]]] = {
    "/api/feedback": (feedback_prompt(), FeedbackResponse),
    "/api/interview/step": (step_prompt(), InterviewStepResponse),
    "/api/report": (report_prompt(), ReportResponse),
}
MOST_ASKED = {"/api/feedback": 1, "/api/interview/step": 1, "/api/report": 3}  # two reviews and the summary
LONGEST = 600  # bytes: what the simulator writes for any of the three


@pytest.fixture(scope="module")
def broken_engine() -> Iterator[Simulator]:
    """An engine of its own: other tests' faults and these must not meet."""
    with running(FAST) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def impatient(broken_engine: Simulator) -> Iterator[Service]:
    """The service, with a deadline and a patience that a test can wait for."""
    environment = {
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(broken_engine.port),
        "MAX_MODEL_LEN": str(FAST["context_length"]),
        "REQUEST_TIMEOUT": str(DEADLINE),
        "STALL_TIMEOUT": str(STALL),
    }
    with Service(environment=environment) as service:
        yield service.wait_healthy()


@pytest.fixture
def faulty(broken_engine: Simulator) -> Simulator:
    """The engine, with nothing left over from another test."""
    broken_engine.client.post("/_sim/reset").raise_for_status()
    broken_engine.configure(**FAST)
    return broken_engine


def ask(service: Service, engine: Simulator, path: str, *, live: bool = False) -> tuple[dict[str, Any], float]:
    """The answer of one call, checked against its schema and its bound of generations, and the seconds it took.

    In one JSON body, or ``live``: as the last of the events that are told while it is written.
    """
    prompt, model = TASKS[path]
    before = last_heard(engine)
    started = time.monotonic()
    answer = service.post(f"{path}?stream=true" if live else path, prompt)
    seconds = time.monotonic() - started
    assert answer.status_code == 200, (path, answer.text)
    body: dict[str, Any] = json.loads(answer.text.rpartition("event: result\ndata: ")[2]) if live else answer.json()
    model.model_validate(body)
    calls = bodies(engine, before)
    asked = [call for call in calls if call["max_tokens"] > 1]
    measured = [call for call in calls if call["max_tokens"] == 1]
    assert max(tries(asked).values()) <= 2, tries(asked)
    # An engine that only fails is left alone in the end; what it was not asked for any more is told.
    left_out = [repair for repair in body["meta"]["repaired"] if "not given" in repair]
    assert len(tries(asked)) == MOST_ASKED[path] or left_out
    steps = set(MESSAGE_FIRST.grammars("ko")) if path == "/api/interview/step" else set[str]()
    assert {call["ebnf"] for call in measured} <= {DIGIT, BELIEF, *steps}
    for grammar in (DIGIT, BELIEF, *steps):
        answers = Counter(call["messages"][-1]["content"] for call in measured if call["ebnf"] == grammar)
        assert len(answers) <= 1  # of the two answers in a report one is no answer, so nobody has to be asked about it
        assert max(answers.values(), default=0) <= RetryPolicy().attempts  # nothing of it is said before all of it is
    assert max(tries(asked).values()) <= body["meta"]["attempts"] <= 2
    return body, seconds


def repairs(body: dict[str, Any]) -> list[str]:
    """What broken generations cost; see ``of_its_words`` for what is not their doing."""
    return [repair for repair in body["meta"]["repaired"] if not of_its_words(repair)]


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        items: Any = cast("Any", value.values() if isinstance(value, dict) else value)
        for item in items:
            yield from texts_of(item)


@pytest.mark.parametrize("live", [False, True], ids=["json", "events"])
@pytest.mark.parametrize("path", TASKS)
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reasoning"},
        {"kind": "abort", "tokens": 0},
        {"kind": "abort", "tokens": 12},
        {"kind": "stall", "tokens": 6},
        {"kind": "drop", "tokens": 9},
        {"kind": "reset", "tokens": 9},
        {"kind": "error_event", "tokens": 9},
        {"kind": "silent_end", "tokens": 9},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('tokens', '')}",
)
def test_a_fault_is_not_the_caller_s_problem(
    impatient: Service, faulty: Simulator, path: str, fault: dict[str, Any], *, live: bool
) -> None:
    # What earlier cases did to the engine is still held against it for a while.
    wait_until(lambda: impatient.post("/api/chat/completions", GREETING).status_code == 200, 60, "the breaker closed")
    faulty.client.post("/_sim/reset").raise_for_status()
    faulty.fault(**fault)
    body, seconds = ask(impatient, faulty, path, live=live)
    assert seconds < DEADLINE
    assert body["meta"]["attempts"] <= 2
    if fault["kind"] == "reasoning":
        assert (body["meta"]["finish"], repairs(body)) == ("stop", [])
    else:
        assert repairs(body)


@pytest.mark.parametrize("live", [False, True], ids=["json", "events"])
@pytest.mark.parametrize("path", TASKS)
@pytest.mark.parametrize("kind", ["whitespace", "endless_string", "repetition"])
@pytest.mark.parametrize("at", [0, 1, 12, 30, 60, 120])
def test_a_runaway_is_cut_early(
    impatient: Service, faulty: Simulator, path: str, kind: str, at: int, *, live: bool
) -> None:
    faulty.fault(kind, bytes=at)
    body, _ = ask(impatient, faulty, path, live=live)
    meta = body["meta"]
    assert meta["attempts"] <= 2
    assert meta["finish"] in {"whitespace", "repetition", "overlong", "not_json"}
    assert repairs(body)
    assert all(len(text) <= LONGEST for text in texts_of(body))


@pytest.mark.parametrize("path", TASKS)
def test_an_answer_cut_at_any_byte_is_closed(impatient: Service, faulty: Simulator, path: str) -> None:
    for at in range(0, LONGEST, 10):
        faulty.fault("truncate", bytes=at)
        body, _ = ask(impatient, faulty, path)
        assert body["meta"]["attempts"] <= 2
        assert body["meta"]["attempts"] == 1 or repairs(body)


@pytest.mark.parametrize(
    ("path", "skip"),
    [("/api/feedback", 1), ("/api/interview/step", 1), ("/api/report", 3)],  # the summary, after what comes before it
)
def test_one_fault_is_repaired_by_asking_again(impatient: Service, faulty: Simulator, path: str, skip: int) -> None:
    faulty.fault("truncate", bytes=40, count=1, skip=skip)
    body, _ = ask(impatient, faulty, path)
    meta = body["meta"]
    assert (meta["attempts"], meta["finish"], repairs(body)) == (2, "stop", [])


@pytest.mark.parametrize("path", TASKS)
def test_an_engine_that_says_nothing_is_an_error_inside_the_deadline(
    impatient: Service, faulty: Simulator, path: str
) -> None:
    faulty.fault("drop", tokens=0)
    answer = impatient.post(path, TASKS[path][0])
    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "engine_failure")


def test_thinking_does_not_leak(impatient: Service, faulty: Simulator) -> None:
    faulty.script("<think>지원자는 아마 합격이다.</think>\n안녕하세요, 반갑습니다.")
    answer = impatient.post("/api/chat/completions", {"messages": [{"role": "user", "content": "인사"}]})
    assert answer.json()["content"] == "안녕하세요, 반갑습니다."


def test_a_runaway_stops_within_sixty_four_pieces(impatient: Service, faulty: Simulator) -> None:
    head = 60  # bytes before the loop: fewer pieces than that
    faulty.fault("repetition", bytes=head)
    answer = impatient.post("/api/feedback?stream=true", feedback_prompt())
    assert answer.text.count("event: delta") <= head + CHUNKS
