"""Caller text + output contract -> messages. Pure.

Ours comes after the caller's, never before it: engines cache prompts by prefix, and the caller's system prompt is the
same for a whole interview phase. What never changes (the contract) follows the system prompt, so it is cached with it;
what is settled for one call follows the user prompt.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from app.core.defuse import defuse
from app.core.generation import Message

Language = Literal["ko", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Contract:
    """What the answer must look like, in words, in each language a prompt may be in."""

    ko: str
    en: str

    def text(self, prompt: Language, answer: Language) -> str:
        """The contract in the language of the prompt, asking for answers in ``answer``."""
        return f"{self.ko if prompt == 'ko' else self.en}\n{_WRITE[prompt, answer]}"


# The last line of every contract. A grammar leaves out what it names, so that a text cannot end at a stray quote.
_WRITE: Mapping[tuple[Language, Language], str] = {
    ("ko", "ko"): "모든 문장은 한국어로, 줄바꿈과 큰따옴표 없이 씁니다.",
    ("ko", "en"): "모든 문장은 영어로, 줄바꿈과 큰따옴표 없이 씁니다.",
    ("en", "ko"): "Write every sentence in Korean, without line breaks and double quotes.",
    ("en", "en"): "Write every sentence in English, without line breaks and double quotes.",
}


_HANGUL = b"\xea\xeb\xec\xed"  # the first bytes of its syllables in UTF-8; of Yi, too, in which nobody writes to us


def language_of(text: str) -> Language:
    """Korean as soon as one letter in ten is Hangul: Korean technical prose is full of English words."""
    text = unicodedata.normalize("NFC", text)  # some systems write Hangul in decomposed form
    raw = text.encode(errors="ignore")
    hangul = len(raw) - len(raw.translate(None, _HANGUL))
    enough = hangul * 10 >= len(text) or hangul * 10 >= sum(map(str.isalpha, text))
    return "ko" if enough and hangul else "en"


def build_messages(system_prompt: str, user_prompt: str, contract: str, words: str = "") -> tuple[Message, ...]:
    """The caller's two prompts, honest text byte for byte and control tokens defused, each with ours after it.

    Args:
        system_prompt: The caller's; the same for a whole phase of an interview.
        user_prompt: The caller's; new with every call.
        contract: The same for every call of a task, so it follows the system prompt: both come from the prefix cache.
        words: What holds for this call only.
    """
    user = defuse(user_prompt)
    return (
        Message("system", f"{defuse(system_prompt)}\n\n---\n{contract}"),
        Message("user", f"{user}\n\n---\n{words}" if words else user),
    )
