"""The labels by which callers mark questions, answers and counts in their prompts, as patterns. Pure.

A label stands at the beginning of a line, after nothing but decoration (``#``, ``*``, ``-``, ``>``), in brackets or
not, numbered or not: ``[질문 1]``, ``질문 1:``, ``**Question 1:**``, ``**질문**:``, ``Q1.``, ``## 답변``,
``지원자 답변:``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["question", "answer", "score", "review"]

_START = r"^[ \t]*(?:[#>*\-•■▶]+[ \t]*)*"
_OPEN, _CLOSE = r"[\[【<(]{1,2}[ \t]*", r"[ \t]*[\]】>)]{1,2}"
_NUMBER = r"[ \t]*(?:#|no\.?|번호)?[ \t]*(?P<{}>\d{{1,3}})?(?:번|번째)?"
_COLON = r"[:：]"  # noqa: RUF001  the full-width colon

_WORDS: dict[Kind, str] = {
    "question": r"(?:면접|현재|이전|기술|인성)?[ \t]*질문(?:[ \t]*내용)?|(?:interview[ \t]+)?question|Q",
    "answer": r"(?:(?:지원자|사용자|응시자|면접자|후보자)(?:의)?[ \t]*)?답변(?:[ \t]*내용)?"
    r"|(?:(?:candidate|user|applicant)(?:'s)?[ \t]+)?(?:answer|response)|A",
    "score": r"(?:획득|평가|부여)?[ \t]*점수|score",
    "review": r"(?:AI[ \t]*)?(?:피드백|평가|코멘트)|feedback|evaluation|review|comment",
}


def _label(kind: Kind) -> re.Pattern[str]:
    """In brackets, then with or without a colon; or bare, then with a mark or alone on its line.

    What follows belongs to the answer, so nothing but marks that touch the label is taken for a part of it.
    """
    words = f"(?:{_WORDS[kind]})"
    bracketed = f"{_OPEN}{words}{_NUMBER.format('inner')}{_CLOSE}(?:(?:\\*\\*)?{_COLON})?"
    bare = f"{words}{_NUMBER.format('number')}(?:(?:\\*\\*)?[ \\t]*{_COLON}|[.)]|(?=(?:\\*\\*)?[ \\t]*$))"
    return re.compile(f"{_START}(?:{bracketed}|{bare})(?:\\*\\*)?[ \\t]*", re.IGNORECASE | re.MULTILINE)


_LABELS: dict[Kind, re.Pattern[str]] = {kind: _label(kind) for kind in _WORDS}
_SCORE_VALUE = re.compile(r"(\d{1,3})(?:[ \t]*/[ \t]*(?P<most>\d{1,3}))?[ \t]*(?:점)?[ \t]*$", re.MULTILINE)

# What ends the last answer: a label or a request of the caller's own that comes after it. A candidate can write such a
# line too, but not after the caller: see ``closing``.
_ASKS = r"[^\n]*(?:세요|시오|바랍니다|하라|해라|할[ \t]*것|해[ \t]*줘)[.!]*[ \t]*$"
_CLOSING = re.compile(
    f"{_START}[\\[【<(*]{{0,3}}[ \\t]*(?:"
    + "|".join(
        (
            r"(?:현재[ \t]*)?(?:꼬리|추가|후속)[ \t]*질문(?:[ \t]*(?:횟수|수|카운트))",
            r"follow[- _]?ups?(?:[ \t]*(?:count|so far|asked|used))?[ \t]*[\]】:：(]",  # noqa: RUF001
            r"(?:평가|채점|점수)[ \t]*(?:지침|기준|요청|방법|항목)[ \t]*(?:[\]】:：]|$)",  # noqa: RUF001
            r"(?:출력|응답|답변)[ \t]*(?:형식|규칙|포맷)[ \t]*(?:[\]】:：]|$)",  # noqa: RUF001
            r"(?:output|response)[ \t]*(?:format|rules)|instructions?[ \t]*[\]】:：]",  # noqa: RUF001
            r"(?:지시|요청|주의|참고|유의)[ \t]*사항[ \t]*(?:[\]】:：]|$)",  # noqa: RUF001
            r"(?:질문|진행)[ \t]*(?:수|횟수|개수)[ \t]*[\]】:：]",  # noqa: RUF001
            r"모범[ \t]*답[안변][ \t]*[\]】:：]|(?:model|reference)[ \t]+answer[ \t]*[\]】:：]",  # noqa: RUF001
            rf"(?:위|이|해당|지원자의|사용자의|상기)[ \t]*(?:질문|답변|내용|정보|대화|면접|이력|기록){_ASKS}",
            rf"(?:다음|이제|지금)[ \t]{_ASKS}",
            rf"(?:반드시|꼭)?[ \t]*JSON(?:으로|[ \t]*형식|[ \t]*만){_ASKS}",
            r"(?:please[ \t]+)?(?:evaluate|grade|assess|judge|rate|decide|review)[ \t].{0,60}(?:answer|above|next)",
            r"(?:return|respond|answer|reply)[ \t].{0,30}JSON",
        )
    )
    + ")",
    re.IGNORECASE | re.MULTILINE,
)

_RULE = re.compile(r"(?:^|\n)[ \t]*(?:-{3,}|={3,})[ \t]*\s*\Z")
_RULE_LINE = re.compile(r"[ \t]*(?:-{3,}|={3,})[ \t]*\n\s*")
_BLANK = re.compile(r"\n[ \t]*\n[ \t]*")
# From here to the follow-ups for text in small letters: a pattern without IGNORECASE skips to where it can begin.
_LEVELS = {
    "NEWCOMER": r"신입|newcomer|entry",
    "JUNIOR": r"junior|주니어",
    "MID": r"\bmid(?:dle)?\b|미들|중급|미드",
    "SENIOR": r"senior|시니어|고급",
}
_PHASES = {
    "OPENING": r"opening|오프닝|도입|자기[ \t]*소개[ \t]*단계",
    "TECHNICAL": r"technical|기술[ \t]*(?:면접|질문|단계)",
    "PERSONALITY": r"personality|behavioral|인성[ \t]*(?:면접|질문|단계)|컬처[ \t]*핏",
    "CLOSING": r"closing|클로징|마무리[ \t]*(?:단계|질문|면접)?",
}
_ANY_PHASE = re.compile("|".join(_PHASES.values()))
_LEVEL_LABEL = re.compile(
    r"(?:레벨|경력|수준|직급|연차|level|seniority)[^\n:：]{0,12}[:：][ \t]*([^\n/|,]{1,40})"  # noqa: RUF001
)
_PHASE_LABEL = re.compile(r"(?:단계|phase|페이즈|stage)[^\n:：]{0,12}[:：][ \t]*([^\n/|,]{1,40})")  # noqa: RUF001
_FOLLOW_UPS = re.compile(
    r"(?:꼬리[ \t]*질문|추가[ \t]*질문|후속[ \t]*질문|follow[- _]?ups?)[^\d\n]{0,30}?(\d{1,2})[ \t]*(?:회|번|개)?[ \t]*"
    r"(?:/|중|of|,[^\d\n]{0,12})[^\d\n]{0,12}?(\d{1,2})"
)
_LIMIT = re.compile(
    r"(?:꼬리|추가|후속)[ \t]*질문[^\n]{0,30}?(?:최대|까지)?[^\d\n]{0,8}(\d{1,2})[ \t]*(?:번|회|개)"
    r"|follow[- _]?ups?[^\n]{0,30}?(?:at most|max(?:imum)?|up to|limit)[^\d\n]{0,8}(\d{1,2})",
    re.IGNORECASE,
)
_BAND = re.compile(
    rf"{_START}(\d{{1,2}})[ \t]*점?[ \t]*[~∼〜\-–][ \t]*(\d{{1,2}})[ \t]*(?:점|points?)?"  # noqa: RUF001
    r"[ \t]*[:：)\-–=]?[ \t]*(\S[^\n]{0,200})",  # noqa: RUF001
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Label:
    """One label in a text: where it begins, where what it labels begins, and its number, if it has one."""

    start: int
    end: int
    number: int | None


def labels(kind: Kind, text: str, begin: int = 0, end: int | None = None) -> Iterator[Label]:
    """All labels of one kind in ``text[begin:end]``, in order; at ``begin`` a line need not begin."""
    for found in _LABELS[kind].finditer(text, begin, len(text) if end is None else end):
        number = found["number"] or found["inner"]
        yield Label(found.start(), found.end(), int(number) if number else None)


def score_at(text: str, label: Label) -> int | None:
    """The score that ``label`` introduces, on 0-10: ``7``, ``7점``, ``7/10``, ``70/100``; None if it is no number."""
    found = _SCORE_VALUE.match(text, label.end)
    if found is None:
        return None
    value, most = int(found[1]), int(found["most"] or 10)
    return round(10 * value / most) if 0 <= value <= most else None


def closing(text: str, begin: int) -> int:
    """Where the answer that begins at ``begin`` ends: before the caller's own words after it, else the text's end.

    The last closing line counts, and from there upwards those that touch it: closing lines right above, and whole
    blocks that begin with one. So a candidate who writes such a line ends nothing, unless it is the last thing said.
    """
    starts = [found.start() for found in _CLOSING.finditer(text, begin)]
    if not starts:
        return len(text)
    at = starts[-1]
    for start in reversed(starts[:-1]):
        if start not in (_line_above(text, begin, at), _block_above(text, begin, at)):
            break
        at = start
    rule = _RULE.search(text, begin, at)
    return rule.start() if rule else at


def _line_above(text: str, begin: int, at: int) -> int:
    """Where the last line before ``at`` begins that is not blank."""
    end = begin + len(text[begin:at].rstrip())
    return max(begin, text.rfind("\n", begin, end) + 1)


def _block_above(text: str, begin: int, at: int) -> int:
    """Where the block of lines begins that the line above ``at`` stands in."""
    end = begin + len(text[begin:at].rstrip())
    breaks = [found.end() for found in _BLANK.finditer(text, begin, end)]
    if not breaks:
        return begin
    rule = _RULE_LINE.match(text, breaks[-1])
    return rule.end() if rule else breaks[-1]


def level_of(text: str) -> str | None:
    """NEWCOMER, JUNIOR, MID or SENIOR, by the first level label."""
    return _named(_LEVEL_LABEL, _LEVELS, text)


def phase_of(text: str) -> str | None:
    """OPENING, TECHNICAL, PERSONALITY or CLOSING, by the first phase label."""
    return _named(_PHASE_LABEL, _PHASES, text)


def phase_in(text: str) -> str | None:
    """The first phase that is named, with no label."""
    found = _ANY_PHASE.search(text.lower())
    return next(name for name, words in _PHASES.items() if re.fullmatch(words, found[0])) if found else None


def _named(label: re.Pattern[str], names: dict[str, str], text: str) -> str | None:
    for found in label.finditer(text.lower()):
        for name, words in names.items():
            if re.search(words, found[1]):
                return name
    return None


def follow_ups(text: str) -> tuple[int, int] | None:
    """How many follow-ups were asked and how many may be, by the last count in the text: ``꼬리 질문 횟수: 1/2``."""
    found = None
    for found in _FOLLOW_UPS.finditer(text.lower()):  # noqa: B007  the last one counts
        pass
    return (int(found[1]), int(found[2])) if found else None


def follow_up_limit(text: str) -> int | None:
    """How many follow-ups may be asked: ``꼬리 질문은 한 주제에 최대 2번까지``."""
    found = _LIMIT.search(text)
    return int(found[1] or found[2]) if found else None


def bands(text: str) -> tuple[tuple[int, int, str], ...]:
    """The caller's score bands, lowest first (``1~2점: 불성실한 답변``); empty unless they cover 1 to 10."""
    found = sorted({(int(m[1]), int(m[2])): m[3].strip() for m in _BAND.finditer(text)}.items())
    edges = [edge for (low, high), _ in found for edge in (low, high)]
    covered = bool(found) and edges[0] <= 1 and edges[-1] == 10  # noqa: PLR2004  the end of the scale
    joined = all(after == before + 1 for before, after in zip(edges[1::2], edges[2::2], strict=False))
    if not (covered and joined and 3 <= len(found) <= 6):  # noqa: PLR2004  one digit a band
        return ()
    return tuple((low, high, words) for (low, high), words in found)
