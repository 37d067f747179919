"""Whether what an interviewer says leaves the candidate something to answer. Pure; Korean and English.

A small model now and then only announces a question, or repeats the answer that it was given. Whoever hears that can
say nothing, and the interview stands still. In doubt a message asks: a second question behind one is worse than none.
"""

import re

_KOREAN = re.compile(
    r"주세요|주십시오|주시죠|주시면|주시겠|주실|바랍니다|부탁|궁금|듣고 ?싶|알고 ?싶"
    r"|(?<!질문)해 ?(?:보세요|보십시오|봅시다)"
    r"|(?:까요|나요|가요|은지요|는지요|니까|죠)(?:\W|$)"
)
_ENGLISH = re.compile(
    r"\b(?:tell|describe|explain|walk|share|talk|introduce|give|say|show|name|please|curious|like to (?:hear|know))\b",
    re.IGNORECASE,
)


def asks(message: str) -> bool:
    """Whether ``message`` asks for anything: by a question mark, or in the words of a request."""
    return "?" in message or bool(_KOREAN.search(message) or _ENGLISH.search(message))
