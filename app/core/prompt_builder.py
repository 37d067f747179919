"""Caller text + output contract -> messages. Pure.

The contract comes after the caller's text, never before it: engines cache prompts by prefix, and the caller's system
prompt is the same for a whole interview phase.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal, get_args

from app.core.generation import Message

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Contract:
    """What the answer must look like, in words, in each language a prompt may be in."""

    ko: str
    en: str

    def text(self, language: Language) -> str:
        """The contract in ``language``."""
        return self.ko if language == "ko" else self.en


def language_of(text: str) -> Language:
    """Korean as soon as one letter in ten is Hangul: Korean technical prose is full of English words."""
    text = unicodedata.normalize("NFC", text)  # some systems write Hangul in decomposed form
    letters = sum(char.isalpha() for char in text)
    hangul = sum("가" <= char <= "힣" for char in text)
    return "ko" if hangul * 10 >= letters and hangul else "en"


def build_messages(system_prompt: str, user_prompt: str, contract: str) -> tuple[Message, ...]:
    """The caller's two prompts, byte for byte, then the contract."""
    return (
        Message("system", system_prompt),
        Message("user", f"{user_prompt}\n\n---\n{contract}"),
    )
