"""Whether a feedback praises what it scores low or blames what it scores high. Pure.

Written apart from the check that the service itself makes (``app.tasks.judging.agreement``), and stricter: any praise
at a low score and any blame at a high one counts, of a part of the answer too, and so does another number. It finds
candidates for a contradiction; a person who reads them decides, so every report lists them with their whole text.
"""

import re

LOW, HIGH = 3, 8  # up to LOW praise contradicts the score, from HIGH on blame does

_CLAUSE = re.compile(r"[.!?。…\n]+|(?<=지만)[\s,]+|(?<=으나)[\s,]+|(?<=는데)[\s,]+|,\s*(?=but\b)|;\s*")
_PRAISE = re.compile(
    r"훌륭|탁월|우수|뛰어나|뛰어난|완벽|인상\s?적|돋보|칭찬|모범적|흠잡을|인상\s?깊"
    r"|좋은\s*(?:답변|설명|예시|접근|이해|점)|좋습니다|좋았습니다|잘\s*(?:이해|설명|알고|정리|짚|답변|전달|표현|드러|제시|해\s?주)"
    r"|(?:정확|명확|구체적|논리적|체계적|충실|적절|풍부)(?:하게|히|으로)?\s*(?:설명|이해|제시|언급|답변|정리|서술)?(?:합니다|했습니다|하였습니다|하셨습니다|입니다)"
    r"|(?:깊은|높은|충분한|폭넓은)\s*(?:이해|지식|경험)|강점(?:입니다|이\s*있|을\s*보)"
    r"|\b(?:excellent|outstanding|impressive|great|strong|good\s+(?:answer|job|explanation)|well\s+(?:explained|done))\b",
    re.IGNORECASE,
)
_BLAME = re.compile(
    r"부족|미흡|틀렸|틀린|잘못|모호|부정확|불분명|불성실|성의\s*(?:가|이)?\s*없|무관|관련(?:이|성이)?\s*없|아쉽|아쉬|누락|빠져|빠졌|빠진"
    r"|오류|오해|혼동|피상|추상적|얕|(?:설명|답변|언급|제시|이해)(?:을|를|하지|되지)?\s*(?:못|않)|없습니다|없어"
    r"|\b(?:wrong|incorrect|insufficient|inadequate|poor|irrelevant|lacks?|missing|vague|unclear)\b",
    re.IGNORECASE,
)
# What turns a word round or makes it a wish: "정확하지 않", "부족한 점이 없", "잘 설명해야", "명확하게 하면 좋겠".
_TURNED = re.compile(
    r"않|못|없|아니|아닙|부족|미흡|어렵|힘들|필요|해야|하려면|위해|도록|하세요|주세요|바랍|면\s|다면|였으면|더\s|더욱|\bnot\b|n't\b|\bno\b|\bif\b|\bmore\b|\bshould\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:부족|미흡|틀린|잘못|모호|아쉬|누락|빠진|오류|오해|혼동)\S*\s*(?:\S+\s*){0,3}?(?:없|않|아니|아닙)"
    r"|흠잡을\s*데\s*(?:가)?\s*없|나무랄\s*데\s*(?:가)?\s*없|부족함\s*없|더할\s*나위\s*없|막힘\s*없|군더더기\s*없|빠짐\s*없|틀림\s*없"
    r"|\b(?:nothing|not|no)\s+(?:is\s+)?(?:wrong|missing|incorrect|unclear)\b",
    re.IGNORECASE,
)

# A number given to the answer: "8점을 드립니다", "점수는 8점", "10점 만점에 8점", "8 out of 10".
_NUMBER = re.compile(
    r"(?:(?:점수|답변)\S{0,2}|만점에)\s*(\d{1,2})\s*(?:점|으로)(?!에서)|(?<![\d.])(\d{1,2})\s*점(?:을|으로)?\s*(?:드|주|줍|줄|부여|매)"
    r"|\bscored?\D{0,6}(\d{1,2})\b|\b(\d{1,2})\s*(?:/|out\s+of)\s*10\b",
    re.IGNORECASE,
)


def contradictions(text: str, score: int) -> list[str]:
    """The words of ``text`` that do not go with ``score`` (0-10)."""
    return [*_other_numbers(text, score), *_other_words(text, score)]


def _other_numbers(text: str, score: int) -> list[str]:
    return [found.group() for found in _NUMBER.finditer(text) if int(next(filter(None, found.groups()))) != score]


def _other_words(text: str, score: int) -> list[str]:
    if score <= LOW:
        return [found.group() for clause in _clauses(text) for found in _praised(clause)]
    if score >= HIGH:
        return [found.group() for clause in _clauses(text) for found in _BLAME.finditer(_DENIED.sub(" ", clause))]
    return []


def _clauses(text: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(text) if clause and clause.strip()]


def _praised(clause: str) -> list[re.Match[str]]:
    """Praise that nothing in its clause turns round."""
    return [] if _TURNED.search(clause) else list(_PRAISE.finditer(clause))
