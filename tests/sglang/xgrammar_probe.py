"""Runs in SGLang's own interpreter: asks the real xgrammar which texts each of some grammars accepts.

Standard input: ``{"grammars": [...], "texts": [...]}``; standard output: for each grammar, once compiled, a list of
booleans, one for each text.
"""

import importlib
import json
import sys
from typing import Any


def main() -> None:
    """Answer for all grammars: to get this far takes seconds."""
    # SGLang's own environment has these and no other: there is nothing to check their types against.
    xgrammar: Any = importlib.import_module("xgrammar")
    transformers: Any = importlib.import_module("transformers")
    asked = json.load(sys.stdin)
    tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo.from_huggingface(tokenizer))
    answers: list[list[bool]] = []
    for grammar in asked["grammars"]:
        compiled = compiler.compile_grammar(xgrammar.Grammar.from_ebnf(grammar))
        answers.append([xgrammar.GrammarMatcher(compiled).accept_string(text) for text in asked["texts"]])
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
