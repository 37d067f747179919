"""How long a candidate waits: the same interview through this service and through the plain one, on the same engine.

    make bench ARGS=interview                                        on the simulator, two minutes a round
    make bench ARGS="interview --engine embedded --interviews 1"     on llama.cpp, a quarter of an hour
    make bench ARGS="interview --engine http://127.0.0.1:30000"      on an SGLang that runs

For each answer there is one feedback call and then one step call, as the first caller makes them; the step is read as
events from this service, and as the one JSON body that it is from the plain one. On the simulator both get the same
words (``bench/caller.py``), each in the JSON that its prompt asks for; a real model chooses its own. A real engine
keeps what it has read, so each service plays one interview that does not count: else who comes second finds the
caller's prompts read by the first.
"""

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.caller import TURNS, feedback_prompt, script, step_prompt
from bench.document import put, row
from bench.gateways import OURS, PLAIN
from bench.interview_stage import Stage, Tokens, stage
from evals.first_sentence import Heard, listen

SOONER = 2.5  # times, at least


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds that a candidate waited for one step.

    Attributes:
        sentence: From the step call to the first sentence of its message.
        message: To the end of that message, which is its question.
        whole: To the whole step.
        answered: From the end of the answer to the first sentence: the feedback call comes in between.
    """

    sentence: float
    message: float
    whole: float
    answered: float


_sentence, _message, _whole, _answered = map(attrgetter, ("sentence", "message", "whole", "answered"))


@dataclass(slots=True)
class Played:
    """Some interviews through one service.

    Attributes:
        waits: Of every step.
        failed: Calls without an answer.
        tokens: What the engine did for it, of all interviews together.
        interviews: How many there were.
    """

    waits: list[Wait] = field(default_factory=list[Wait])
    failed: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    interviews: int = 0

    def median(self, of: Callable[[Wait], float]) -> float:
        """Of all steps."""
        return statistics.median(map(of, self.waits))

    def tail(self, of: Callable[[Wait], float]) -> float:
        """The 90th percentile of all steps."""
        return sorted(map(of, self.waits))[int(0.9 * (len(self.waits) - 1) + 0.5)]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of this section."""
    parser.add_argument("--engine", default="simulator", help="simulator, embedded, or the address of an SGLang")
    parser.add_argument("--interviews", default="1,8", help="so many side by side, by commas: %(default)s")
    parser.add_argument("--steps", type=int, default=len(TURNS), help="of one interview: %(default)s")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pasted", type=int, default=1000, help="characters each of résumé and portfolio: %(default)s")
    parser.add_argument("--tps", type=float, default=40.0, help="of the simulator: tokens a second: %(default)s")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")


def run(options: argparse.Namespace) -> int:
    """Play, and print the table; 1 if the simulator's candidates waited longer than they should, or for more tokens."""
    counts = [int(count) for count in options.interviews.split(",")]
    found: dict[tuple[int, str], Played] = {(count, name): Played() for count in counts for name in (OURS, PLAIN)}
    with stage(options.engine, options.tps) as scene:
        for name in () if options.engine == "simulator" else (OURS, PLAIN):
            _play(scene, name, [f"{name[0]}-rehearsal"], Played(), options.steps, options.pasted)
            print(f"{name}: rehearsed", flush=True)
        for number in range(options.rounds):
            for (count, name), played in found.items():
                label = f"{name[0]}{number}{count}"
                _play(scene, name, [f"{label}-{n}" for n in range(count)], played, options.steps, options.pasted)
                print(
                    f"round {number + 1} of {options.rounds}: {count} interviews, {name:13} "
                    f"first sentence {played.median(_sentence):.2f} s, {played.failed} failed",
                    flush=True,
                )
        lines = table(found, scene.conditions)
    print("\n".join(lines))
    if options.write:
        put("interview", lines)
    missed = [line for count in counts for line in verdict(found[count, OURS], found[count, PLAIN], count)]
    print("\n".join(missed))
    return 1 if missed and options.engine == "simulator" else 0


def _play(scene: Stage, name: str, candidates: Sequence[str], played: Played, steps: int, pasted: int) -> None:
    """The interviews of all ``candidates`` at once."""
    scene.prepare(script(plainly=name == PLAIN))
    before = scene.tokens()
    pool = ThreadPoolExecutor(len(candidates))
    try:
        playing = [pool.submit(_interview, scene.urls[name], name, one, steps, pasted) for one in candidates]
        for one in playing:
            waits, failed = one.result()
            played.waits += waits
            played.failed += failed
    finally:
        pool.shutdown(wait=False)  # who stops us stops the services next, and with them what still waits for them
    played.tokens += scene.tokens() - before
    played.interviews += len(candidates)
    if not played.waits:
        raise RuntimeError(f"{name}: not one step was answered. Its log is in .bench/.")


def _interview(url: str, name: str, candidate: str, steps: int, pasted: int) -> tuple[list[Wait], int]:
    """One interview from its first question: how long each step took, and how many calls failed."""
    waits: list[Wait] = []
    asked: list[tuple[str, str]] = []
    question, failed = "", 0
    for turn in TURNS[:steps]:
        begun = time.perf_counter()
        try:
            if turn.answer:
                said = f"{turn.answer} 저는 지원자 {candidate}입니다."  # no two candidates give the same answer
                asked.append((question, said))
                _post(f"{url}/api/feedback", feedback_prompt(candidate, question, said))
            answered = time.perf_counter() - begun
            prompt = step_prompt(candidate, asked, turn.follow_ups, pasted)
            heard = listen(url, prompt) if name == OURS else _hear_whole(url, prompt)
        except (RuntimeError, OSError, http.client.HTTPException):
            failed += 1
            question = turn.message
            continue
        waits.append(Wait(heard.sentence, heard.message, heard.whole, answered + heard.sentence))
        question = str(heard.result.get("message") or turn.message)
    return waits, failed


def _hear_whole(url: str, prompt: Mapping[str, str]) -> Heard:
    """A step whose first sentence arrives with everything else."""
    begun = time.perf_counter()
    result = _post(f"{url}/api/interview/step", prompt)
    seconds = time.perf_counter() - begun
    return Heard(seconds, seconds, seconds, result)


def _post(url: str, prompt: Mapping[str, str]) -> Any:
    request = Request(url, json.dumps(prompt).encode(), {"content-type": "application/json"})  # noqa: S310  loopback
    try:
        with urlopen(request, timeout=600) as answer:  # noqa: S310
            return json.load(answer)
    except URLError as error:
        raise RuntimeError(f"{url}: {error}") from error


def table(found: Mapping[tuple[int, str], Played], conditions: str) -> list[str]:
    """Lines of Markdown; ``found`` by the number of interviews side by side and the service."""
    head = (
        "interviews", "", "first sentence p50 / p90 s", "its question s", "whole step s",
        "feedback and first sentence s", "failed", "completion tokens", "prompt tokens computed / sent",
    )  # fmt: skip
    rows = [conditions, "", row(head), "|---" * len(head) + "|"]
    for (count, name), one in found.items():
        spent, per = one.tokens, one.interviews
        sentence = f"{one.median(_sentence):.2f} / {one.tail(_sentence):.2f}"
        message, whole, answered = (f"{one.median(of):.2f}" for of in (_message, _whole, _answered))
        prompt = f"{spent.computed / per:,.0f} / {spent.prompt / per:,.0f}"
        rows.append(
            row((count, name, sentence, message, whole, answered, one.failed, f"{spent.completion / per:,.0f}", prompt))
        )
    rows.append("")
    for count in sorted({count for count, _ in found}):
        ours, plain = found[count, OURS], found[count, PLAIN]
        tokens = ours.tokens.completion / max(1, plain.tokens.completion)
        rows.append(
            f"{count} at once: the first sentence is heard {sooner(ours, plain):.2f} times sooner, the question "
            f"{sooner(ours, plain, _message):.2f} times, for {tokens:.2f} times the completion tokens."
        )
    return rows


def sooner(ours: Played, plain: Played, of: Callable[[Wait], float] = _sentence) -> float:
    """How many times sooner it is heard from ``ours``, by medians: by default the first sentence."""
    return plain.median(of) / ours.median(of)


def verdict(ours: Played, plain: Played, count: int) -> list[str]:
    """What is not as good as it should be."""
    missed: list[str] = []
    if sooner(ours, plain) < SOONER:
        missed.append(f"{count} at once: the first sentence is not {SOONER:g} times sooner")
    if ours.tokens.completion > plain.tokens.completion:
        missed.append(f"{count} at once: more completion tokens than the plain service")
    if ours.failed:
        missed.append(f"{count} at once: {ours.failed} calls failed")
    return missed
