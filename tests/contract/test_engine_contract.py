"""What the service relies on in every engine. Each case keeps its outcome, so that engines can be compared."""

import asyncio
import json
import math
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from app.core.deadline import Deadline
from app.core.generation import Generation, Message, Priority, Sampling
from app.core.grammar import grammar_for
from app.core.llm_engine import LLMEngine
from app.doctor.generation import korean_check
from app.errors import EngineFailure, Overloaded, PromptTooLong, ServiceError
from app.tasks.attempt import Patience
from app.tasks.feedback import SCORED, FeedbackAnswer
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.measure import heard, measure
from app.tasks.judging.rubric import GRAMMAR as DIGIT
from app.tasks.shape import Shape
from tests.contract.conftest import connected
from tests.contract.engines import QUEUE, SLOTS, EngineUnderTest

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

STEP = MESSAGE_FIRST.shapes[-1]  # all three actions
Record = Callable[[object], None]

QUESTION = "What is the capital of France? Answer in one short sentence."
GREEDY = Sampling(temperature=0.0)


def ask(
    text: str = QUESTION,
    *,
    tokens: int = 24,
    grammar: str | None = None,
    sampling: Sampling = GREEDY,
    priority: Priority = Priority.CHAT,
) -> Generation:
    return Generation((Message("user", text),), tokens, sampling, grammar, priority)


async def run(engine: LLMEngine, generation: Generation, seconds: float = 200) -> tuple[list[str], str, int, int]:
    """The pieces of an answer, why it ended, and how many tokens it had, prompt tokens cached."""
    async with (
        engine.admit(generation.priority, Deadline.after(seconds)) as slot,
        slot.stream(generation) as tokens,
    ):
        pieces = [piece async for piece in tokens]
        return pieces, tokens.finish, tokens.usage.completion_tokens, tokens.usage.cached_tokens


async def error_of(engine: LLMEngine, generation: Generation) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await run(engine, generation)
    return caught.value


async def free(tested: EngineUnderTest, seconds: float) -> None:
    """Return when the engine works on nothing."""
    await _until(tested, lambda busy: busy == 0, seconds)


async def working_on(tested: EngineUnderTest, count: int) -> None:
    """Return when the engine works on ``count`` requests."""
    await _until(tested, lambda busy: busy >= count, 30)


async def _until(tested: EngineUnderTest, reached: Callable[[int], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not reached(await asyncio.to_thread(tested.busy)):  # noqa: ASYNC110  an engine's count is no event of ours
            await asyncio.sleep(0.005)


async def test_an_answer_ends_with_stop_and_counts_its_tokens(engine: LLMEngine, record: Record) -> None:
    pieces, finish, count, _ = await run(engine, ask(tokens=200))
    record({"finish": finish, "text": bool("".join(pieces).strip()), "counted": count > 0})
    assert finish == "stop"
    assert "".join(pieces).strip()
    assert 0 < count <= 200


async def test_an_answer_comes_in_pieces(engine: LLMEngine, record: Record) -> None:
    pieces, *_ = await run(engine, ask(tokens=24))
    record({"pieces": len(pieces) > 1})
    assert len(pieces) > 1


async def test_max_tokens_is_the_most_there_is(engine: LLMEngine, record: Record) -> None:
    _, finish, count, _ = await run(engine, ask("Write a long story about the sea.", tokens=7))
    record({"finish": finish, "tokens": count})
    assert (finish, count) == ("length", 7)


async def test_a_grammar_is_obeyed_to_the_letter(engine: LLMEngine, record: Record) -> None:
    pieces, finish, *_ = await run(engine, ask(grammar='root ::= "{\\"score\\":" [0-5] "}"\n'))
    record({"finish": finish, "keys": list(json.loads("".join(pieces)))})
    assert finish == "stop"
    assert 0 <= json.loads("".join(pieces))["score"] <= 5


Point = Annotated[str, Field(min_length=2, max_length=20)]


class Short(BaseModel):
    """A Korean answer that a model without Korean can afford: it spends three tokens on a syllable."""

    text: str = Field(min_length=4, max_length=40)
    points: list[Point] = Field(max_length=2)
    score: int = Field(ge=0, le=100)


async def test_a_korean_grammar_gives_a_valid_answer(engine: LLMEngine, record: Record) -> None:
    generation = ask(tokens=600, grammar=grammar_for(Short, "ko"), sampling=Sampling(temperature=0.3, seed=1))
    pieces, finish, *_ = await run(engine, generation)
    record({"finish": finish})
    assert finish == "stop"
    answer = Short.model_validate_json("".join(pieces))
    assert "가" <= answer.text[0] <= "힣"


async def test_the_grammar_of_feedback_gives_a_valid_answer(engine: LLMEngine, record: Record) -> None:
    generation = ask(tokens=1500, grammar=grammar_for(FeedbackAnswer, "en"), sampling=Sampling(temperature=0.3, seed=1))
    pieces, finish, *_ = await run(engine, generation)
    record({"finish": finish})
    assert finish == "stop"
    FeedbackAnswer.model_validate_json("".join(pieces))


async def test_the_grammar_of_a_step_gives_a_valid_answer(engine: LLMEngine, record: Record) -> None:
    grammar = grammar_for(STEP.model, "en")
    generation = ask(tokens=1800, grammar=grammar, sampling=Sampling(temperature=0.3, seed=2))
    pieces, finish, *_ = await run(engine, generation)
    record({"finish": finish})
    assert finish == "stop"
    STEP.model.model_validate_json("".join(pieces))


@pytest.mark.parametrize("shape", [SCORED[7], STEP], ids=["a score that is known", "a choice of steps"])
async def test_an_answer_that_is_begun_is_gone_on_with(engine: LLMEngine, record: Record, shape: Shape[Any]) -> None:
    asked = ask(tokens=1800, grammar=shape.grammars["en"], sampling=Sampling(temperature=0.3, seed=2))
    pieces, finish, *_ = await run(engine, asked._replace(begun=shape.begun))
    record({"finish": finish})
    assert finish == "stop"
    said = "".join(pieces)
    shape.model.model_validate_json(said if said.startswith("{") else shape.begun + said)


async def test_amid_a_korean_word_the_grammar_of_a_text_leaves_hangul(engine: LLMEngine, record: Record) -> None:
    check = await korean_check(engine)
    # llama.cpp tells no alternatives of a token that is a part of a letter, as those of the embedded model here are.
    record({"level": check.level, "seen": "leaves Hangul" in check.detail})
    assert check.level == "ok", check.detail


async def test_a_digit_comes_with_the_probabilities_of_its_alternatives(engine: LLMEngine, record: Record) -> None:
    question = "How many of the two answers are right: none, one or both? Write one digit from 0 to 5."
    generation = ask(question, tokens=1, grammar=DIGIT)._replace(alternatives=20)
    async with engine.admit(generation.priority, Deadline.after(200)) as slot, slot.stream(generation) as tokens:
        text = "".join([piece async for piece in tokens])
    (likely,) = tokens.alternatives
    digits = {token.strip(): logprob for token, logprob in likely.items() if token.strip() in set("012345")}
    record({"digits": len(digits) >= 2, "finite": all(map(math.isfinite, digits.values()))})
    assert text.strip() in digits
    assert len(digits) >= 2
    assert all(math.isfinite(logprob) and logprob <= 0 for logprob in digits.values())


async def test_an_answer_is_measured(engine: LLMEngine, record: Record) -> None:
    exchange = Exchange(
        "What is an index in a database?",
        "A sorted structure beside the table that finds rows without reading all of them.",
    )
    async with engine.admit(Priority.FEEDBACK, Deadline.after(200)) as slot:
        measured = await measure(slot, Case(), heard(exchange, ()), "en", Patience(Deadline.after(200), 60))
    meta = measured.meta
    record({"method": meta.method, "digits": len(meta.distribution) >= 2})
    assert meta.method == "expected value of one token"
    assert len(meta.distribution) >= 2
    assert sum(meta.distribution.values()) == pytest.approx(1, abs=0.001)
    assert meta.expected is not None
    assert measured.score == math.floor(meta.expected + 0.5)
    assert measured.usage.completion_tokens >= 1


async def test_pieces_are_whole_characters_and_korean_only(engine: LLMEngine, record: Record) -> None:
    grammar = "root ::= [\\uAC00-\\uD7A3]{8,40}\n"
    pieces, finish, *_ = await run(engine, ask("안녕하세요? 자기소개를 해 주세요.", tokens=150, grammar=grammar))
    record({"finish": finish, "hangul": all("가" <= char <= "힣" for char in "".join(pieces))})
    assert all("가" <= char <= "힣" for piece in pieces for char in piece)


async def test_a_stop_text_ends_the_answer_before_it(engine: LLMEngine, record: Record) -> None:
    story = "Write a long story about the sea."
    whole, *_ = await run(engine, ask(story, tokens=30))
    word = "".join(whole).split()[5]
    pieces, finish, *_ = await run(engine, ask(story, tokens=30, sampling=Sampling(temperature=0.0, stop=(word,))))
    record(
        {"finish": finish, "before": "".join(whole).startswith("".join(pieces)), "without": word not in "".join(pieces)}
    )
    assert (finish, "".join(pieces)) == ("stop", "".join(whole).split(word)[0])


async def test_the_same_request_at_temperature_zero_gives_the_same_answer(engine: LLMEngine, record: Record) -> None:
    first, second = [await run(engine, ask()) for _ in range(2)]
    record({"same": first[0] == second[0]})
    assert "".join(first[0]) == "".join(second[0])


async def test_a_repeated_prompt_comes_from_the_cache(engine: LLMEngine, record: Record) -> None:
    prompt = "Remember these words: " + " ".join(f"word{i}" for i in range(200))
    await run(engine, ask(prompt, tokens=2))
    *_, cached = await run(engine, ask(prompt, tokens=2))
    record({"cached": cached > 200})
    assert cached > 200


async def test_four_requests_at_once_all_answer(engine: LLMEngine, record: Record) -> None:
    answers = await asyncio.gather(*(run(engine, ask(f"{QUESTION} ({i})")) for i in range(4)))
    record({"answers": len([1 for pieces, *_ in answers if pieces])})
    assert all(pieces for pieces, *_ in answers)


async def test_a_prompt_longer_than_the_context_is_told_apart(engine: LLMEngine, record: Record) -> None:
    error = await error_of(engine, ask("word " * 20_000))
    record({"error": type(error).__name__})
    assert isinstance(error, PromptTooLong)


async def test_a_grammar_that_is_none_is_refused(engine: LLMEngine, record: Record) -> None:
    error = await error_of(engine, ask(grammar="root ::= [a-z"))
    record({"error": type(error).__name__})
    assert isinstance(error, EngineFailure)


async def test_a_wrong_key_is_refused_with_a_hint(tested: EngineUnderTest, record: Record) -> None:
    async with connected(tested, "not-the-key") as stranger:
        error = await error_of(stranger, ask())
    record({"error": type(error).__name__, "hint": "SGLANG_API_KEY" in error.message})
    assert isinstance(error, EngineFailure)
    assert "SGLANG_API_KEY" in error.message


async def test_leaving_in_mid_stream_frees_the_engine(
    engine: LLMEngine, tested: EngineUnderTest, record: Record
) -> None:
    await free(tested, 30)
    generation = ask("Count from one to a thousand in words.", tokens=3000)
    async with engine.admit(Priority.CHAT, Deadline.after(60)) as slot, slot.stream(generation) as tokens:
        async for _ in tokens:
            break
    await free(tested, 3)
    record({"free within 3 s": True})


async def test_leaving_before_the_first_token_frees_the_engine(
    engine: LLMEngine, tested: EngineUnderTest, record: Record
) -> None:
    await free(tested, 30)
    prompt = "Tell me about each of these: " + " ".join(f"topic{i}" for i in range(200))
    call = asyncio.create_task(run(engine, ask(prompt, tokens=500)))
    try:
        await working_on(tested, 1)
    finally:
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await free(tested, 3)
    record({"free within 3 s": True})


@pytest.mark.scheduling
async def test_a_full_queue_is_told_apart(engine: LLMEngine, tested: EngineUnderTest, record: Record) -> None:
    await free(tested, 30)
    calls = [run(engine, ask(f"Story {i}.", tokens=60)) for i in range(2 * (SLOTS + QUEUE))]
    errors = [
        answer for answer in await asyncio.gather(*calls, return_exceptions=True) if isinstance(answer, Exception)
    ]
    record({"error": sorted({type(error).__name__ for error in errors})})
    assert errors
    assert all(isinstance(error, Overloaded) for error in errors)


@pytest.mark.scheduling
async def test_a_waiting_step_overtakes_waiting_reports(
    engine: LLMEngine, tested: EngineUnderTest, record: Record
) -> None:
    await free(tested, 30)
    order: list[str] = []

    async def call(name: str, priority: Priority, tokens: int) -> None:
        await run(engine, ask(f"Write a story about {name}.", tokens=tokens, priority=priority))
        order.append(name)

    running = [asyncio.create_task(call(f"running{i}", Priority.REPORT, 150)) for i in range(SLOTS)]
    await working_on(tested, SLOTS)
    waiting = [asyncio.create_task(call(f"report{i}", Priority.REPORT, 30)) for i in range(3)]
    await working_on(tested, SLOTS + 3)
    step = asyncio.create_task(call("step", Priority.INTERVIEW_STEP, 2))
    await asyncio.gather(*running, *waiting, step)
    reports = [name for name in order if name.startswith("report")]
    record({"first of those that waited": min(["step", *reports], key=order.index)})
    assert order.index("step") < order.index(reports[0])
