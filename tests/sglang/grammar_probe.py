"""Runs in SGLang's own interpreter: asks a real grammar engine which texts each of some grammars accepts.

Standard input: ``{"engine": ..., "grammars": [...], "texts": [...]}``; standard output: for each grammar, once
compiled, a list of booleans, one for each text.
"""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

Accepts: TypeAlias = Callable[[str], bool]


def _xgrammar(tokenizer: Any, grammars: list[str]) -> list[Accepts]:
    xgrammar: Any = importlib.import_module("xgrammar")
    compiler = xgrammar.GrammarCompiler(xgrammar.TokenizerInfo.from_huggingface(tokenizer))

    def reads(grammar: str) -> Accepts:
        compiled = compiler.compile_grammar(xgrammar.Grammar.from_ebnf(grammar))
        return lambda text: xgrammar.GrammarMatcher(compiled).accept_string(text)

    return [reads(grammar) for grammar in grammars]


def _llguidance(tokenizer: Any, grammars: list[str]) -> list[Accepts]:
    """As SGLang's llguidance_backend.py uses it."""
    llguidance: Any = importlib.import_module("llguidance")
    vocabulary = importlib.import_module("llguidance.hf").from_tokenizer(tokenizer)

    def reads(grammar: str) -> Accepts:
        matcher = llguidance.LLMatcher(vocabulary, llguidance.grammar_from("ebnf", grammar))
        if matcher.is_error():
            raise ValueError(matcher.get_error())

        def accepts(text: str) -> bool:
            tokens = vocabulary.tokenize_str(text)
            matcher.reset()
            return matcher.validate_tokens(tokens) == len(tokens)

        return accepts

    return [reads(grammar) for grammar in grammars]


ENGINES = {"xgrammar": _xgrammar, "llguidance": _llguidance}


def main() -> None:
    """Answer for all grammars: to get this far takes seconds."""
    # SGLang's own environment has these and no other: there is nothing to check their types against.
    transformers: Any = importlib.import_module("transformers")
    asked = json.load(sys.stdin)
    tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
    readers = ENGINES[asked["engine"]](tokenizer, asked["grammars"])
    json.dump([[accepts(text) for text in asked["texts"]] for accepts in readers], sys.stdout)


if __name__ == "__main__":
    main()
