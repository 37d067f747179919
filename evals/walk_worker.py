"""Runs in SGLang's own interpreter: walks grammars and writes what came out. See ``walks.py``.

Standard input: one JSON object, the ``Order``. Standard output: one JSON object a line, ``Finished``.
"""

import json
import sys

from evals import vocabulary
from evals.grammar_engines import ENGINES
from evals.samplers import samplers, text_of
from evals.walk_order import Finished, Order


def main() -> None:
    """Follow one order."""
    order: Order = json.load(sys.stdin)
    tokens = vocabulary.load(vocabulary.Path(order["vocabulary"]))
    engine = ENGINES[order["engine"]](tokens)
    for grammar, text in order["grammars"].items():
        matcher = engine.compile(order["kind"], text)
        # Fresh ones for each grammar: they remember what it allowed where.
        for name, sampler in samplers(tokens).items():
            for number in range(order["first"], order["walks"], order["step"]):
                seed = f"{order['seed']}/{grammar}/{name}/{number}"
                walk = sampler.walk(matcher, seed, order["limit"])
                said = text_of(walk, tokens).decode(errors="replace")
                hidden = any(token in vocabulary.HIDDEN for token in walk.tokens)
                finished = Finished(
                    grammar=grammar, sampler=name, text=said, tokens=len(walk.tokens), hidden=hidden, fate=walk.fate
                )
                sys.stdout.write(json.dumps(finished) + "\n")


if __name__ == "__main__":
    main()
