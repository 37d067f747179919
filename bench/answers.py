"""What a task costs: CPU of the service for a JSON answer, by the engine's calls and chunks that it takes.

    make bench ARGS=answers

The engine in C gives canned answers in SGLang's words, a token a chunk and 10 ms apart, so that no two are read at
once. No two requests are alike, so none is answered from another's generation.

Machines differ by three times and more in what anything takes, so each round also measures what sglang-router takes for
a plain chat, and the costs are told by that, too.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from app.tasks.feedback import SCORED
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.report_parts import REVIEWS, SUMMARY
from app.tasks.shape import Shape
from bench.caller import FEEDBACK, SCORE, SUGGESTION, TURNS, Prompt, feedback_prompt, report_prompt, step_prompt
from bench.document import put, row
from bench.gateways import GATEWAYS, OURS, ROUTER, Subject, install, started
from bench.measure import SATURATING, chat, measured
from bench.tools import CACHE, engine
from simulator.tokens import split

PER_CALL, PER_CHUNK = 200.0, 20.0  # microseconds of CPU, at most
USUAL = 135.0  # microseconds that sglang-router takes for a plain chat where that was set: 120 to 150
_CONNECTIONS, _GAP = 16, 0.01
_SECONDS = 1.0  # of sglang-router in each round
_NUMBER = "########"  # the load generator writes the number of the request there
_EVENT: Mapping[str, Any] = {
    "id": "397fde97c17d401389bc93e7019e8b1f",
    "object": "chat.completion.chunk",
    "created": 1795403411,
    "model": "bench",
}
_QUESTIONS = 8  # of a report
_MEASURED = (tuple("012345"), ("Yes", "No"), ("FOLLOW", "NEW"))  # what is asked for one token


@dataclass(frozen=True, slots=True)
class Cost:
    """One task in one round.

    Attributes:
        requests: Answers.
        calls: Generations that the engine was asked for.
        chunks: Chunks that it sent.
        cpu: Seconds of the service's processes.
        router: Microseconds that sglang-router took for a plain chat in that round.
    """

    requests: int
    calls: int
    chunks: int
    cpu: float
    router: float = USUAL

    @property
    def per_request(self) -> float:
        """Microseconds."""
        return self.cpu / self.requests * 1e6

    @property
    def allowed(self) -> float:
        """Microseconds for a request."""
        return (PER_CALL * self.calls + PER_CHUNK * self.chunks) / self.requests

    @property
    def share(self) -> float:
        """Of what a request may cost."""
        return self.per_request / self.allowed

    @property
    def share_here(self) -> float:
        """The same, where a machine as much slower as sglang-router is on it may take as much longer."""
        return self.share * USUAL / self.router


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this section."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--alone", action="store_true", help="without sglang-router")


def run(options: argparse.Namespace) -> int:
    """Measure, and print the table; 1 if a task costs more than it may."""
    found: dict[str, list[Cost]] = {path: [] for path in TASKS}
    with ExitStack() as stack:
        machine = stack.enter_context(engine(canned_file()))
        subject = stack.enter_context(started(GATEWAYS[OURS], machine.port, _chat()))
        router = None
        if not options.alone:
            install(GATEWAYS[ROUTER])
            router = stack.enter_context(started(GATEWAYS[ROUTER], machine.port, _chat()))
        for path, prompt in TASKS.items():
            _check(f"http://127.0.0.1:{subject.port}{path}", prompt)
        machine.configure(tokens=64, gap=_GAP)
        for path, prompt in TASKS.items():
            measured(subject, prompt, connections=_CONNECTIONS, seconds=0, path=path)  # what is made once is made
        for number in range(options.rounds):
            usual = USUAL if router is None else _plain_chat(router)
            for path, prompt in TASKS.items():
                calls, chunks = machine.counts()
                cpu, load = measured(subject, prompt, connections=_CONNECTIONS, seconds=options.seconds, path=path)
                now_calls, now_chunks = machine.counts()
                cost = Cost(load.requests, now_calls - calls, now_chunks - chunks, cpu, usual)
                found[path].append(cost)
                print(
                    f"round {number + 1} of {options.rounds}: {path:20} {cost.per_request:7.0f} us/request, "
                    f"{cost.share:.2f} of what it may cost, {cost.share_here:.2f} by sglang-router's {usual:.0f} us",
                    flush=True,
                )
    lines = table(found)
    print("\n".join(lines))
    if options.write:
        put("answers", lines)
    return int(any(statistics.median(cost.share for cost in costs) > 1 for costs in found.values()))


def _plain_chat(router: Subject) -> float:
    """Microseconds of CPU."""
    cpu, load = measured(router, chat(stream=False), connections=SATURATING, seconds=_SECONDS)
    return cpu / load.requests * 1e6


def table(found: Mapping[str, Sequence[Cost]]) -> list[str]:
    """Lines of Markdown."""
    head = ("", "engine calls", "engine chunks", "CPU ms a request", "of what it may cost", "by sglang-router")
    rows = [row(head), "|---" * len(head) + "|"]
    for path, costs in found.items():
        calls = statistics.median(one.calls / one.requests for one in costs)
        chunks = statistics.median(one.chunks / one.requests for one in costs)
        cost, share, here = (
            statistics.median(values)
            for values in zip(*((one.per_request, one.share, one.share_here) for one in costs), strict=True)
        )
        figures = (f"{calls:.1f}", f"{chunks:.0f}", f"{cost / 1000:.2f}", f"{share:.2f}", f"{here:.2f}")
        rows.append(row((f"`{path}`", *figures)))
    return rows


def canned_file() -> Path:
    """The engine's answers, in the form that ``bench/wire/engine.c`` reads."""
    CACHE.mkdir(exist_ok=True)
    file = CACHE / "answers"
    file.write_bytes(b"".join(record(needle, text) for needle, text in _said().items()))
    return file


def record(needle: str, text: str) -> bytes:
    """One answer: a line with a text of its requests, then each chunk after its length, then a 0.

    What is asked for one token is answered in one piece: nobody wants it as a stream.
    """
    options = next((all_of for all_of in _MEASURED if text in all_of), None)
    pieces = _streamed(split(text)) if options is None else [_whole(text, options)]
    return needle.encode() + b"\n" + b"".join(b"%d\n%b" % (len(piece), piece) for piece in pieces) + b"0\n"


def _streamed(tokens: Sequence[str]) -> Sequence[bytes]:
    pieces = [_event([_choice({"reasoning_content": None, "role": "assistant", "content": ""})])]
    pieces += [_event([_choice({"reasoning_content": None, "content": token})]) for token in tokens]
    stop = _choice({"reasoning_content": None}, finish_reason="stop", matched_stop=151645)
    pieces[0] += pieces.pop(1)  # SGLang has nothing to say before the first token
    pieces.append(_event([stop]) + _event([], usage=_usage(len(tokens))) + b"data: [DONE]\n\n")
    return pieces


def _whole(token: str, options: Sequence[str]) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": token, "reasoning_content": None},
        "logprobs": _likely(token, options),
        "finish_reason": "length",
        "matched_stop": None,
    }
    return _json({**_EVENT, "object": "chat.completion", "choices": [choice], "usage": _usage(1)}).encode()


def _usage(tokens: int) -> Mapping[str, Any]:
    return {
        "prompt_tokens": 1412,
        "total_tokens": 1412 + tokens,
        "completion_tokens": tokens,
        "prompt_tokens_details": {"cached_tokens": 1384},
        "reasoning_tokens": 0,
        "completion_tokens_details": None,
    }


def _choice(
    delta: Mapping[str, Any],
    *,
    finish_reason: str | None = None,
    matched_stop: int | None = None,
) -> Mapping[str, Any]:
    """In SGLang's order: a service may know an event by its bytes."""
    return {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish_reason,
        "matched_stop": matched_stop,
    }


def _event(choices: Sequence[Mapping[str, Any]], **rest: object) -> bytes:
    return f"data: {_json({**_EVENT, 'choices': choices, **rest})}\n\n".encode()


def _likely(token: str, options: Sequence[str]) -> Mapping[str, Any]:
    """What an engine says about the tokens that it could have written."""
    told = [{"token": one, "bytes": [*one.encode()], "logprob": 0.0 if one == token else -100.0} for one in options]
    return {"content": [{"token": token, "bytes": [*token.encode()], "logprob": 0.0, "top_logprobs": told}]}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _said() -> Mapping[str, str]:
    """Answers by a text that only their requests hold; of the contracts, or of what is asked for one token."""
    turn = TURNS[1]
    step = {"action": turn.action, "message": turn.message, "evaluation": turn.evaluation, "thought": turn.thought}
    summary = {
        "summary": FEEDBACK,
        "strengths": [{"question": 1, "text": SUGGESTION}],
        "improvements": [{"question": 2, "text": SUGGESTION}],
        "recommendations": [SUGGESTION],
    }
    return {
        "숫자 하나만 씁니다": "3",
        "Answer only Yes or No": "Yes",
        "- improvement_suggestion:": _rest(
            {"score": SCORE, "feedback": FEEDBACK, "improvement_suggestion": SUGGESTION}, SCORED[SCORE]
        ),
        r'{\"action\":\""}': "FOLLOW",  # how its answer begins, and no more of it
        r"{\"action\":\"FOLLOW_UP\"": _rest(step, MESSAGE_FIRST.shapes[0]),
        "- answer_summary:": _rest(
            {"score": SCORE, "answer_summary": SUGGESTION, "feedback": FEEDBACK}, REVIEWS[SCORE]
        ),
        "- strengths:": _rest(summary, SUMMARY),
    }


def _rest(answer: Mapping[str, Any], shape: Shape[Any]) -> str:
    """What is left to say of ``answer``: the engine is given the beginning, a message with its first sentence."""
    blank = " " if shape.opens == "message" else ""
    return blank + _json(answer).removeprefix(shape.begun)


def _chat() -> bytes:
    return json.dumps(chat(stream=False)).encode()


def _check(url: str, prompt: Prompt) -> None:
    """One answer, to see that it is the model's own.

    Raises:
        RuntimeError: the service had to ask again or to repair it: then something else would be measured.
    """
    request = Request(url, json.dumps(prompt).encode(), {"content-type": "application/json"})  # noqa: S310  loopback
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        meta = json.load(answer)["meta"]
    if meta["repaired"] or meta["attempts"] > 1:
        raise RuntimeError(f"{url}: the canned answer was not taken as it is: {meta}")


_ASKED = [(turn.message, after.answer) for turn, after in itertools.pairwise(TURNS)]
TASKS: Mapping[str, Prompt] = {
    "/api/feedback": feedback_prompt(_NUMBER, *_ASKED[0]),
    "/api/interview/step": step_prompt(_NUMBER, _ASKED[:1], 0, 1000),
    "/api/report": report_prompt(_NUMBER, (_ASKED * 2)[:_QUESTIONS]),
}
