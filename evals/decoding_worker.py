"""Runs in SGLang's own interpreter: times what a constraint costs. See ``decoding.py``.

Standard input: a JSON list of ``Case``; standard output: one ``Cost`` a line.
"""

import json
import statistics
import sys
import time

from evals import vocabulary
from evals.decoding_case import Case, Cost
from evals.grammar_engines import ENGINES, Engine, LLGuidance

_COLD_COMPILES = 3


def _milliseconds(started: float) -> float:
    # CPU time of all threads: what else the machine does would blur wall time.
    return 1000 * (time.process_time() - started)


def _compile(engine: Engine, case: Case, text: str) -> float:
    """Until the first mask is there: llguidance does part of the work then."""
    started = time.process_time()
    engine.compile(case["kind"], text).mask()
    return _milliseconds(started)


def measure(engine: Engine, case: Case, encode: LLGuidance) -> Cost:
    """All figures of one case."""
    cost = Cost(name=case["name"], engine=case["engine"], kind=case["kind"], cold=0, variant=0, masks=[], refused="")
    try:
        cold: list[float] = []
        for _ in range(_COLD_COMPILES):
            engine.forget()
            cold.append(_compile(engine, case, case["text"]))
        cost["cold"] = statistics.median(cold)
        if case["variants"]:
            cost["variant"] = statistics.median(_compile(engine, case, text) for text in case["variants"])
        matcher = engine.compile(case["kind"], case["text"])
        for answer in case["answers"]:
            matcher.reset()
            for token in encode.encode(answer):
                started = time.process_time()
                matcher.mask()
                cost["masks"].append(_milliseconds(started))
                if not matcher.accept(token):
                    cost["refused"] = f"an answer, before {encode.decode([token])!r}"
                    break
    except ValueError as error:
        cost["refused"] = str(error)[:200]
    return cost


def main() -> None:
    """Measure every case."""
    tokens = vocabulary.load(vocabulary.Path(sys.argv[1]))
    cases: list[Case] = json.load(sys.stdin)
    engines = {name: make(tokens) for name, make in ENGINES.items()}
    encode = LLGuidance(tokens)
    for case in cases:
        print(json.dumps(measure(engines[case["engine"]], case, encode)), flush=True)


if __name__ == "__main__":
    main()
