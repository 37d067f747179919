"""Whether the words of a feedback agree with its score. Pure.

A check of last resort, by words that praise or blame the whole answer and by a number told as its score: the prompt
already asks for words that fit.
"""

import re
from collections.abc import Iterable

from app.core.sentences import sentences_of

LOW, HIGH = 3, 8  # up to LOW there is nothing to praise, from HIGH on nothing to blame
FAIR = 6  # from here on the answer has not missed its question, whatever it lacks
GOOD = 7  # from here on there is something to be said for it, whatever it lacks

_PRAISE = re.compile(
    r"(?:매우|아주|정말|상당히|꽤|굉장히)\s*(?:잘|좋|훌륭|정확|구체|명확|논리|인상|우수|뛰어|깊)"
    r"|잘\s*(?:설명|답변|정리|이해|표현|작성|대답|알고|보여|드러|짚|언급|제시)(?!하지|되지|하려면|하기|해야|할\s*수|해\s*주|드리지|되어야|할\s*필요)"
    r"|칭찬(?:합니다|하지만|하며|하고|받을|할\s*만)"
    r"|(?:훌륭|탁월|우수|완벽|인상적|모범적)(?:한|합니다|했|하게|하며|하고|이|입니다)"
    r"|(?:정확|명확|구체적|논리적|체계적|충실|적절)(?:하게|히|으로)\s*(?:잘\s*)?(?:설명|답변|이해|제시|언급|정리|짚|표현|전달|서술)(?:하셨|했습|하였|하고\s*있|되어\s*있|해\s*주셨|한\s*점)"
    r"|(?:excellent|outstanding|impressive|great|very\s+good|well[- ](?:explained|structured))\s",
    re.IGNORECASE,
)
_BLAME = re.compile(
    r"(?:매우|전혀|많이|상당히|크게|너무)\s*(?:부족|미흡|모호|짧|틀|부정확|아쉽|없)"
    r"|(?:잘못|틀리게|부정확하게|엉뚱하게)\s*(?:설명|답변|이해|알|말|언급)"
    r"|(?:틀린|잘못된|사실과\s*다른|무관한|관련\s*없는|성의\s*없는|불성실한)\s*(?:답변|내용|설명|정보|이해)"
    r"|(?:답변|설명|내용|이해|근거|깊이|구체성)(?:이|가|은|는|도|의)?\s*(?:많이\s*|매우\s*|다소\s*)?(?:부족합|부족했|부족하며|부족하고|미흡합|미흡했|틀렸|모호합|없습)"
    r"|(?:핵심|질문|주제)(?:을|를|에서)?\s*(?:벗어)|(?:부족한|미흡한)\s*(?:부분|점|내용|답변|설명)"
    r"|답(?:변)?(?:을|를)?\s*(?:하지\s*않|하지\s*못|못\s*했|거부)"
    r"|(?:부족|미흡|모호|피상적|추상적)(?:합니다|했습니다|하며|하고|하지만|하여|해서|입니다|이며)|아쉽습니다|아쉬웠습니다|틀렸습니다"
    r"|(?:설명|답변|언급|제시|이해|제공|표현|전달|반영|분석|비교|정리|서술)(?:을|를|이)?\s*(?:하지|되지|못하지)?\s*(?:못|않)(?:했|았|아|으며|고)"
    r"|(?:(?:강조|포함|고려|구체화)하|다루|짚|밝히|드러내)지\s*(?:못|않)(?:했|았)"
    # Whatever it is said of: a word of the candidate's own story costs a second try at the most, blame the score.
    r"|(?:부족|미흡|모호|부정확|불분명|불성실|무관|동떨어|관련(?:이|성이)?\s*없|아쉽|아쉬|누락|빠져|빠졌|빠진|피상|추상적|얕|틀렸|틀린|벗어)"
    r"(?!\S{0,3}\s*(?:점|부분|내용)?(?:이|은|도)?\s*(?:없|않))"
    r"|\b(?:wrong|incorrect|insufficient|inadequate|poor|irrelevant|lacks?|missing|vague|unclear)\b",
    re.IGNORECASE,
)
# Small models repeat the caller's words for a lower band: "핵심을 벗어났거나 내용이 부족한 답변" beside a 7.
_MISSED = re.compile(
    r"(?:핵심|질문|주제)(?:을|를|에서)?\s*(?:많이\s*|크게\s*|완전히\s*)?벗어(?:났|난)"
    r"|(?:불성실한|무관한|관련\s*없는|내용이\s*부족한)\s*답변"
    r"|(?:irrelevant|off[- ]topic)\b",
    re.IGNORECASE,
)
# A number that is told as this answer's score; "만족도를 3점에서 4점으로", of which a candidate tells, is none.
_TOLD = re.compile(
    r"(?<!\S)(?:이\s*답변|점수|10점\s*만점)(?:은|는|이|가|을|를|에|으로)?\s*(?:총\s*)?"
    r"(?P<of>\d{1,2})(?:\s*점|으로)(?!에서|\s*만점)"
    r"|(?<![\d.])(?P<given>\d{1,2})\s*점(?:을|으로)?\s*(?:드리|드립|드렸|주겠|줍니다|주었|부여|매기|매겼|매깁)"
    r"|\b(?:a\s+score\s+of|scored?(?:\s+(?:is|at))?)\s+(?P<score>\d{1,2})\b(?![.,]\d)",
    re.IGNORECASE,
)
_OTHER_SIDE = re.compile(r"(?<=지만)[\s,]+|(?<=으나)[\s,]+|[\s,;]+(?:but|although|however)\b", re.IGNORECASE)
_NOT_DONE = re.compile(r"[않못](?:고|으며)$")
_NONE_SUCH = re.compile(r"(?:없|아니)[^.!?]{0,12}$")
_NEGATED = re.compile(r"(?:지\s*(?:않|못)|없|아니|부족|어렵|않았|못했|not\s|n't\s|no\s)[^.!?]{0,12}$", re.IGNORECASE)


def contradiction(text: str, score: int) -> str | None:
    """The words of ``text`` that do not go with ``score`` (0-10), or None if there are none."""
    for told in _TOLD.finditer(text):
        if int(told["of"] or told["given"] or told["score"]) != score:
            return told.group().strip()
    return _first(_unfit(score), text)


def standard(text: str, score: int) -> int:
    """The score to whose words ``text`` is held: a good one of which nothing but blame is told, to those of a high one.

    A part of a good answer may be blamed, the whole of it may not: "핵심을 짚었지만 근거가 부족합니다" tells both.
    """
    if not GOOD <= score < HIGH:
        return score
    sides = [side for one in sentences_of(text) for side in _OTHER_SIDE.split(one)]
    return HIGH if all(_first((_BLAME,), side) for side in sides) else score


def _first(patterns: Iterable[re.Pattern[str]], text: str) -> str | None:
    """The first words of ``text`` that one of ``patterns`` finds and that it does not take back."""
    for pattern in patterns:
        for found in pattern.finditer(text):
            rest = text[found.end() : _end_of_sentence(text, found.end())]
            if not _denied(found.group(), rest):
                return found.group().strip()
    return None


def _unfit(score: int) -> tuple[re.Pattern[str], ...]:
    if score <= LOW:
        return (_PRAISE,)
    return ((_BLAME,) if score >= HIGH else ()) + ((_MISSED,) if score >= FAIR else ())


def without_contradictions(text: str, score: int) -> str:
    """``text`` without the sentences that contradict ``score``; empty if nothing else is left."""
    return "".join([one for one in sentences_of(text) if contradiction(one, score) is None]).strip()


def _end_of_sentence(text: str, start: int) -> int:
    ends = [at for mark in ".!?" if (at := text.find(mark, start)) >= 0]
    return min(ends, default=len(text))


def _denied(words: str, rest: str) -> bool:
    """Whether the sentence takes its ``words`` back: "잘 설명했다고 보기 어렵습니다", "틀린 내용은 없습니다".

    "…지만" stands, whatever comes after it, and "설명하지 않고 분석하지 않았습니다" says twice what was not done.
    """
    if words.endswith("지만"):
        return False
    return bool((_NONE_SUCH if _NOT_DONE.search(words) else _NEGATED).search(rest))
