"""xgrammar and llguidance behind one seam. Runs in SGLang's own interpreter, which has both.

Grammars go in as SGLang's backends of the same names put them in: xgrammar parses EBNF itself; llguidance converts it
from GBNF to Lark.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from evals import vocabulary
from evals.walk_order import Kind

np: Any = importlib.import_module("numpy")

# How Qwen splits a text before it merges bytes: the pattern of its tokenizer.json.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class Matcher(Protocol):
    """Follows one generation."""

    def reset(self) -> object:
        """Start anew."""
        ...

    def accept(self, token: int, /) -> bool:
        """Go on by one token if the grammar allows it."""
        ...

    def mask(self) -> None:
        """Compute which tokens are allowed now: what an engine does before it draws each token."""
        ...

    def allowed(self) -> Any:
        """The ids of all tokens of a freshly computed mask, as an array."""
        ...

    def complete(self) -> bool:
        """Whether nothing but the end can follow."""
        ...


class Engine(Protocol):
    """A grammar engine with a vocabulary."""

    def compile(self, kind: Kind, text: str) -> Matcher:
        """A matcher of ``text``, schemas as SGLang takes them unless told otherwise: with any white space.

        Raises:
            ValueError: the engine refuses the text.
        """
        ...

    def forget(self) -> None:
        """Drop every cache, so that the next compile is a cold one."""
        ...


def _ids(words: Any) -> Any:
    """The set bits of an array of 32-bit words, those that are not zero only: between values few tokens are allowed."""
    places = np.flatnonzero(words)
    bits = np.unpackbits(words[places].view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    word, bit = np.nonzero(bits)
    found = places[word] * 32 + bit
    return found[found < vocabulary.SIZE]


class XGrammar:
    """xgrammar, used as SGLang's xgrammar_backend.py does."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._xgrammar: Any = importlib.import_module("xgrammar")
        self._info = self._xgrammar.TokenizerInfo(
            list(tokens),
            vocab_type=self._xgrammar.VocabType.RAW,
            vocab_size=vocabulary.SIZE,
            stop_token_ids=[vocabulary.STOP, vocabulary.FIRST_SPECIAL],
        )
        self.forget()

    def forget(self) -> None:
        """A compiler holds every cache."""
        self._compiler = self._xgrammar.GrammarCompiler(self._info, max_threads=2)

    def compile(self, kind: Kind, text: str) -> Matcher:
        """See ``Engine``."""
        try:
            if kind == "grammar":
                compiled = self._compiler.compile_grammar(text)
            else:
                compiled = self._compiler.compile_json_schema(text, any_whitespace=True)
        except RuntimeError as error:
            raise ValueError(str(error)) from error
        return _XMatcher(self._xgrammar, compiled)


class _XMatcher:
    def __init__(self, xgrammar: Any, compiled: Any) -> None:
        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._bits = xgrammar.allocate_token_bitmask(1, vocabulary.SIZE)
        # The engine's own functions: a walk calls them a hundred million times.
        self.reset: Callable[[], None] = self._matcher.reset
        self.accept: Callable[[int], bool] = self._matcher.accept_token

    def mask(self) -> None:
        # False: the engine says that every token is allowed, and leaves the mask as it was.
        if not self._matcher.fill_next_token_bitmask(self._bits):
            self._bits.fill_(-1)

    def allowed(self) -> Any:
        self.mask()
        return _ids(self._bits[0].numpy())

    def complete(self) -> bool:
        return self._matcher.is_terminated() or self._matcher.is_completed()


class LLGuidance:
    """llguidance, used as SGLang's llguidance_backend.py does."""

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self._llguidance: Any = importlib.import_module("llguidance")
        self._numpy: Any = importlib.import_module("llguidance.numpy")
        tiktoken: Any = importlib.import_module("tiktoken")
        self._encoding = tiktoken.Encoding(
            "qwen",
            pat_str=_SPLIT,
            mergeable_ranks={token: number for number, token in enumerate(tokens[: vocabulary.FIRST_SPECIAL])},
            special_tokens={
                token.decode(): number
                for number, token in enumerate(tokens)
                if number >= vocabulary.FIRST_SPECIAL and token
            },
        )
        make: Any = importlib.import_module("llguidance.tiktoken").lltokenizer_from_encoding
        self._tokenizer = make(self._encoding, n_vocab=vocabulary.SIZE, eos_token=vocabulary.STOP)

    def encode(self, text: str) -> list[int]:
        """As the model's own tokenizer would."""
        return self._encoding.encode_ordinary(text)

    def decode(self, tokens: list[int]) -> str:
        """The text of ``tokens``."""
        return self._encoding.decode(tokens)

    def forget(self) -> None:
        """It has no cache: SGLang compiles a grammar anew for each request."""

    def compile(self, kind: Kind, text: str) -> Matcher:
        """See ``Engine``."""
        if kind == "grammar":
            grammar = self._llguidance.grammar_from("ebnf", _latin_as_itself(text))
        else:
            grammar = self._llguidance.LLMatcher.grammar_from_json_schema(text)
        matcher = self._llguidance.LLMatcher(self._tokenizer, grammar)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return _LLMatcher(matcher, self._numpy)


class _LLMatcher:
    def __init__(self, matcher: Any, numpy: Any) -> None:
        self._matcher = matcher
        self._fill = numpy.fill_next_token_bitmask
        self._bits = numpy.allocate_token_bitmask(1, vocabulary.SIZE)
        self.reset: Callable[[], bool] = matcher.reset
        self._take: Callable[[list[int]], int] = matcher.try_consume_tokens
        self.complete: Callable[[], bool] = matcher.is_stopped

    def accept(self, token: int) -> bool:
        return self._take([token]) == 1

    def mask(self) -> None:
        self._fill(self._matcher, self._bits)

    def allowed(self) -> Any:
        self.mask()
        return _ids(self._bits[0])


def _latin_as_itself(grammar: str) -> str:
    r"""``\u00B0`` as the character: llguidance 1.9.1 makes ``\uB0`` of it and then refuses its own text."""
    return re.sub(r"\\u00([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), grammar)


ENGINES: Mapping[str, Callable[[Sequence[bytes]], Engine]] = {"xgrammar": XGrammar, "llguidance": LLGuidance}
