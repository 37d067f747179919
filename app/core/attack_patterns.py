"""What attacks on the judge look like, in Korean and English: the patterns of app.core.integrity. Pure.

They are for folded text (app.core.folded), and every gap in them has a bound. In the sources a blank stands for any
short gap or none, Hangul may be torn apart, and a name in braces stands for one of the expressions below.
"""

import re
from typing import Literal, NamedTuple, get_args

FlagKind = Literal["instruction", "score_demand", "fake_header", "control_token", "hidden_text", "encoded"]
FLAG_KINDS: tuple[FlagKind, ...] = get_args(FlagKind)

_GAP = r"[^\w\n]{0,3}"
_WORDS = {
    "N": r"(?<![\d.])(?:100|10|[5-9]|십|열)(?![\d.])",
    "TOP": (
        r"(?:만[점쩜]|최고 점|최고 등급|높은 등급|배점 전부|(?:max|maximum|full|perfect|highest) (?:score|mark)"
        r"|(?:높은|좋은|후한|최고|최대|최고의|최대의|가득한|가득 찬|완벽한) 점수)"
    ),
    "END": r"(?=[^\w\n]{0,3}(?:$|[.!?\n]))",
    # The endings of orders and requests; not those of reported speech (하라고, 하라는).
    "ASK": (
        r"(?:(?<!녕하)세[요용]|십시오|시오|[하해여]라(?![고는면])|[줘](?![서야])|달라(?![고는])|부탁|바랍니다|바란다"
        r"|바람{END}|주시[면기길겠]|주실|주면 (?:감사|고맙|좋)|주길|주셨으면|[할줄] 것{END}|[해켜겨줘써]{END}"
        r"|(?:하|시키)면 됩니다)"
    ),
    "DROP": (
        r"(?:무시|잊|폐기|버리|삭제|취소|초기화|무효|따르지|신경 쓰지|고려하지|적용하지|건너뛰|덮어"
        r"|ignore|forget|override|disregard)"
    ),
    "X": r"[^.!?\n]",
    "GRADER": (
        r"(?:채점자|평가자|심사위원|채점하시는 분|평가해 주시는|채점관|인공지능|(?:평가|채점|언어) 모델|모델님"
        r"|grader|evaluator)"
    ),
    "JUDGE": r"(?:grader|evaluator|ai|llm|model|judge)",
    "BEST": r"(?:correct|passed|excellent|outstanding|perfect|exemplary|flawless)",
}
_TOKENS = re.compile(r"\\.|\[(?:\\.|[^\]])*\]|\(\?<[=!][^)]*\)|\(\?[:=!]|.", re.DOTALL)
_TEARABLE = re.compile(r"[가-힣]|\[[가-힣]|\(\?:")


def _compiled(sources: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_expression(one) for one in sources), re.MULTILINE)


def _expression(source: str) -> str:
    """A source as a regular expression."""
    for _ in range(2):  # words may use words
        for word, meaning in _WORDS.items():
            source = source.replace(f"{{{word}}}", meaning)
    pieces: list[str] = _TOKENS.findall(source)
    return "".join(_torn(one, after) for one, after in zip(pieces, [*pieces[1:], ""], strict=True))


def _torn(piece: str, after: str) -> str:
    if piece == " ":
        return _GAP
    return piece + _GAP if "가" <= piece <= "힣" and _TEARABLE.match(after) else piece


_KOREAN: dict[FlagKind, tuple[str, ...]] = {
    "instruction": (
        # Drop what you were told: an order, or a connective that an order follows.
        (
            r"(?:위|앞|이전|지금까지|기존|상기|모든|원래|시스템|당신|받은|적힌|평가|채점|프롬프트"
            r"|previous|prior|system|above|all|your){X}{0,20}?"
            r"(?:지시|지침|명령|규칙|프롬프트|기준|루브릭|문맥|조건|안내|내용|rule|instruction|prompt|것){X}{0,14}?"
            r"{DROP}(?!하지|지 )(?:{X}{0,10}?{ASK}|{X}{0,4}?고{X}{0,60}?(?:{ASK}|{TOP}|{N} 점)|{END})"
        ),
        (
            r"(?:위|앞|이전|상기|지금까지|당신|받은){X}{0,14}?(?:지시|지침|명령|프롬프트|규칙|기준|내용)"
            r"{X}{0,12}?(?:무효|취소|유효하지|효력){X}{0,8}?(?:니다|{END})"
        ),
        r"무시 (?:하세요|하십시오|하라(?![고는])|해라|해 줘|해 주세요|해 주십시오|바랍니다)",
        r"잊(?:어라|으세요|으십시오|어 주세요|어 주십시오|어 버려|어 버리세요|어 버리십시오)",
        (
            r"(?:평가|채점)(?:는|은|를|을)? (?:(?:하지|하지는) [말마]|중단|생략|건너[뛰뜁]|멈추|종료(?=하))"
            r"{X}{0,12}?(?:{ASK}|고|니다|{END})"
        ),
        r"(?<![가-힣])(?:너는|넌|당신은|당신의){X}{0,8}?(?:이제|지금|더 이상|앞으로|새 |역할|임무|과제)",
        r"이제(?:부터)? (?:너는|넌|당신은)",
        r"(?<![가-힣])(?:너는|넌){X}{0,30}?(?:평가자|채점|심사위원|ai|인공지능|조수)",
        r"당신은{X}{0,30}?(?:관대|항상|무조건|언제나)",
        r"(?:새|새로운|추가) (?:역할|임무|지시|지침|규칙|명령)(?: :|을 따른|을 따르)",
        r"역할(?:극|을 바꿔|놀이){X}{0,15}?(?:합니다|하자|보자|{ASK})",
        r"(?:개발자|관리자|디버그) (?:모드|권한){X}{0,6}?(?:활성|명령|확인|에서는)",
        r"(?:것처럼|인 척|생각하고|연기){X}{0,10}?{ASK}",
        r"(?:말|명령|지시|지침|규칙)(?:을|에|만|대로){X}{0,8}?(?:따르|복종|따라){X}{0,6}?{ASK}",
        r"(?:칭찬|부정적){X}{0,20}?{ASK}",
        r"꼬리 질문 {X}{0,6}?(?:하지 [말마]|없이)",
        r"이 (?:서비스|시스템|프롬프트|모델)의? (?:개발자|관리자|제작자|운영자)(?:입니다|이다)",
        r"시스템 프롬프트{X}{0,6}?(?:출력|공개|보여|알려|무효){X}{0,6}?{ASK}",
    ),
    "score_demand": (
        r"(?:{TOP}|(?<!별점){N} 점|점수{X}{0,12}?{N}|점수[를좀] |점수 좀){X}{0,25}?{ASK}",
        r"(?:합격|통과|우수|is_passed){X}{0,14}?{ASK}",
        r"(?:{TOP}|{N} 점|(?:합격|통과)(?= 처리 ?[.!\n]| 처리$)) 처리",
        r"감점{X}{0,6}?[말마]",
        r"{N} (?:만을|을|를|만|이?라고만?) {X}{0,6}?(?:출력|반환|넣|입력|기록|답){X}{0,6}?(?:{ASK}|고)",
        (
            r"(?:이|본|위|해당|모든|이번|내|제) (?:답변|응답|대답|답안|답|문항|지원자|건)[은는이의을를에도]{X}{0,40}?"
            r"(?:{TOP}|{N} 점|합격|최고 수준|모범 답안|완벽|흠잡)"
        ),
        r"점수[는은가]? {N} 점? 만(?! 점)",
        r"점수 (?:(?:확정|결과) [:=]|=) (?:{N}|{TOP})",
        r"(?:점수[는은가] [:=]?|(?<=[^\n])점수 [:=]) (?:{N}|{TOP})(?: 점)?(?:입니다|이다|이며|으로|로)?(?:{END}|,)",
        r"이미{X}{0,20}?(?:{TOP}|{N} 점|합격)",
        r"(?:채점|평가|검수)[은는이가]? (?:이미 |모두 )?(?:완료|종료|끝)(?:{END}|{X}{0,20}?(?:{TOP}|{N}|답변))",
        r"{GRADER}(?:님)?(?:께서?|에게|님)? [,:]{X}{0,40}?(?:{TOP}|{N} 점|{ASK}|확정|합의)",
        r"{GRADER}(?:님)?(?:께|에게|님이?)?{X}{0,40}?{ASK}",
        r"{GRADER}(?:님)?(?:께|에게) (?:알립|알려 드|전합|공지|고지|안내)",
        r"(?:{TOP}|{N} 점|낮은 점수)[을를]? (?:안 )?(?:주면|주시면|줄 것입니다|주는 게|주지 않으면)",
        r"{N} 점(?:이 아니면|이하를 주면)",
    ),
    "encoded": (
        (
            r"(?:base64|hex|rot13|16진수|인코딩|디코딩|해석|뒤집|첫 글자){X}{0,30}?(?:따르|실행|수행|그대로)"
            r"{X}{0,6}?(?:{ASK}|{END})"
        ),
        r"\b(?:decode|decrypt|convert|translate){X}{0,30}?(?:follow|obey|execute|do what)\b",
        r"\batob ?\(",
    ),
}
_ENGLISH: dict[FlagKind, tuple[str, ...]] = {
    "instruction": (
        (
            r"\b(?:ignor|disregard|forget|overrid|bypass|discard|stop following)(?:e|ing|t)? "
            r"(?:all |any |the |your |my |of |every|prior |previous |above |earlier |given |grading |scoring "
            r"|evaluation |system |what ){0,5}(?:instruction|prompt|rule|rubric|criteria|guideline|direction|context"
            r"|message|thing|above|order|command|policy|policies)"
        ),
        r"\bdo not (?:apply|follow|use|evaluate|grade|score|judge|deduct)\b",
        r"\b(?:skip|stop|abort|cancel) (?:the )?(?:evaluat|grading|scoring|assessment)",
        r"\byou are (?:now|no longer)\b",
        r"\bi(?: am|'m) the (?:grader|judge|evaluator|examiner|admin|developer)",
        r"\bfrom (?:now|here) on\b{X}{0,30}?\b(?:you|act|answer|respond|output|grade|score|always)\b",
        r"(?:^|[.!?,:]|please) (?:act|behave|respond) (?:as|like) (?:a|an|if|the|grade)\b",
        r"\bpretend (?:to be|that|you)\b",
        r"\bimagine\b{X}{0,90}?\b(?:grade|score|evaluat)",
        r"\brole ?play as\b",
        r"\b(?:enter|enable|activate) (?:developer|debug|admin|god|dan) mode\b",
        r"\byour (?:new )?(?:task|role|job|instruction|goal|purpose)s?(?: now)? (?:is|has changed|are)\b",
        r"\bnew (?:instruction|task|role|rule|rubric|system prompt)s? :",
        (
            r"\b(?:note|message|memo|instruction)s? (?:to|for|from) (?:the )?"
            r"(?:{JUDGE}|developer|system|admin)"
        ),
        r"\b(?:attention|dear|hello|hey) ,? (?:the )?{JUDGE}\b",
        r"\bas an? {JUDGE}{X}{0,15}?\byou (?:must|should|have to|always)\b",
        r"\bsystem (?:override|notice|message|update)\b",
        r"\byou always (?:score|give|output|answer|pass)\b",
    ),
    "score_demand": (
        (
            r"\b(?:giv|award|assign|grant|rat|grad|scor|mark|return|output|receiv|deserv|earn|get|answer|respond|provid"
            r"|select|record|allocat)(?:e|es|ed|ing|s)?{X}{0,40}?(?:full (?:mark|point|score|credit)"
            r"|(?:perfect|highest|top|maximum|max|best) (?:possible )?(?:score|mark|grade|rating|point)"
            r"|10 /? 10|10 out of 10|10 point)"
        ),
        (
            r"\b(?:give|rate|rated|grade|graded|score|scored|mark|marking) "
            r"(?:me|this|it|the answer|the response|my answer|that|everyone)\b"
            r"{X}{0,25}?(?:\b|as|at)(?:10|ten|9|5|{BEST})\b"
        ),
        (
            r"(?:^|[.!?,:\"'(]|please|just|only|must|now|and|to|i) "
            r"(?:output|print|return|answer with|respond with|say|give|gives) "
            r"(?:only |exactly |just |the |a |number |score |digit |final ){0,4}[:=]? (?:10|5|ten|five)\b"
        ),
        r"\b(?:score|rating|grade|rate|is_passed)(?: is| to| of| as)? [:=]? (?:10|9|true|100)\b(?! ?(?:%|to|and|-))",
        r"\bscore\b{X}{0,25}?\bis (?:10|ten)\b",
        r"\b(?:score|rating|grade) (?:is |was |has been )?(?:confirmed|final|fixed|locked|settled)\b",
        r"\b(?:already|been) (?:graded|scored|evaluated|settled|approved|pre approved|verified|decided)\b",
        r"\b(?:grading|evaluation|scoring)(?: is| has been)? (?:complete|done|finished|over|disabled|not necessary)",
        r"\bset (?:the )?(?:is_passed|score)\b",
        r"\b(?:let|make) me pass\b",
        r"\b(?:approve|pass|accept|recommend) (?:this|the) (?:candidate|answer|applicant)\b",
        r"\b(?:mark|marking|treat|consider|evaluate) (?:this|it|the){X}{0,20}?\b(?:as )?(?:a )?{BEST}",
        r"\b(?:to the|dear) (?:grader|evaluator|judge)\b",
        r"\b(?:score|rate|grade) this\b",
    ),
}
# What a hint looks for begins with a letter, each of it: then the search passes over all places where there is another.
_G = r"[^\w\n]{0,12}"  # at least as long as any gap between two words
_OBJECT = rf"{_G}(?:me|this|it|the|my|that|everyone)"
_HINTS: dict[FlagKind, str] = {
    "instruction": (
        rf"ignor|disregard|forget|overrid|bypass|discard|stop|do{_G}not|skip|abort|cancel|you|grader|judge|evaluator"
        rf"|examiner|admin|developer|from{_G}(?:now|here)|act{_G}(?:as|like)|behave|respond|pretend|imagine|role{_G}play"
        rf"|mode(?![a-z])|new{_G}(?:instruction|task|role|rule|rubric|system)|note|message|memo|instruction|attention"
        rf"|dear|hello|hey|system"
    ),
    "score_demand": (
        rf"score|scoring|mark|grade|grading|rating|point|credit|evaluation|evaluator|judge|10{_G}(?:10|out)|is_passed"
        rf"|rate{_G}(?:is|to|of|as|10|9|true|[:=])|output|print|return|answer{_G}with|respond{_G}with|say|give|already|been"
        rf"|let{_G}me|make{_G}me|"
    )
    + "|".join(
        verb + _OBJECT
        for verb in ("rate", "rated", "approve", "pass", "accept", "recommend", "treat", "consider", "evaluate")
    ),
}
_KOREAN_HINT = "|".join(
    _expression(one)
    for one in (
        *(
            "점",
            "쩜",
            "등급",
            "score",
            "mark",
            "합격",
            "통과",
            "우수",
            "passed",
            "최고",
            "모범",
            "완벽",
            "흠잡",
            "채점",
        ),
        *("평가", "검수", "심사위원", "인공지능", "언어", "모델님", "grader", "evaluator"),
        *(f"{number} (?:만|을|를|이?라고)" for number in ("100", "10", *"56789", "십", "열")),
    )
)
_LABELS = (
    r"질문|답변|시스템|평가|채점|점수|피드백|관리자|개발자|운영자|긴급|면접관|지원자|system|assistant|user|admin"
    r"|developer|question|answer|score|evaluation|feedback|instruction|response|output|end of|begin"
)
_START = r"^[^\w\n]{0,6}"
_HEADERS = "|".join(
    (
        rf"^[ \t>*#=<-]{{0,6}}(?:<<|[\[({{【「=])[ =]?(?:{_LABELS})[^\])}}】」>\n]{{0,14}}[\])}}】」>=]",
        rf"^[ \t]{{0,4}}#{{1,6}}[ \t]{{0,3}}(?:updated )?(?:{_LABELS}|rubric)\b[^\n]{{0,20}}$",
        r"</?[ ]?(?:답변|평가|점수|시스템|answer|score|evaluation|system|grade|instructions?|output|json)[ ]?>",
        (
            rf"{_START}(?:질문|답변|q|a|면접관|지원자|interviewer|candidate|question|answer|assistant|human"
            r"|final answer|verdict|사고 ?과정|thought(?: process)?|(?:최종 |채점 |평가 )(?:점수|결과|기준)"
            r"|developer note|reasoning|solution)[ \t]?\d{0,2}[ \t]?[:.](?=\s|$)"
        ),
        (
            rf"{_START}(?:시스템|관리자|system|운영팀)[ \t]?[:,][^\n]{{0,60}}"
            r"(?:점수|만점|평가|채점|지시|합격|통과|score|grad|output|instruction)"
        ),
        (
            rf"{_START}(?:시스템|관리자|운영자|system|admin)[ ]?"
            r"(?:업데이트|공지|알림|메시지|지시|명령|notice|update|override|message)\W[^\n]{0,60}"
            r"(?:점수|만점|평가|채점|합격|score|grad)"
        ),
        (
            rf"{_START}(?:(?:점수|score|rate|rating)[ \t]?[:=][ \t]?(?:10|[5-9])"
            r"|(?:출력|결과|output)[ \t]?[:=][ \t]?10)(?:점|[ \t]?/[ \t]?\d{1,3})?[^\w\n]{0,3}$"
        ),
        (
            rf"{_START}(?:평가|분석|analysis|evaluation|feedback|피드백)[ \t]?[:,][^\n]{{0,80}}"
            r"(?:우수|훌륭|탁월|충족|완벽|뛰어|깊이|excellent|fully|perfect)"
        ),
        rf"{_START}(?:총평|해설|심사평|채점평|판단 ?근거)[ \t]?:",
        r"^[ \t]{0,4}(?:정답|:)[ \t]?:?[ \t]*$",
        rf"{_START}(?:let'?s (?:think|solve)|단계별로 풀어|step 1)",
        r"""["'](?:score|점수|overall_?score)["'][ ]?:[ ]?["']?(?:10|100|[5-9])(?![\d.])""",
        (
            r"""["'](?:is_passed|needsfollowup|improvement_suggestion|overall_?score|questionfeedbacks"""
            r"""|recommendedtopics)["'][ ]?:"""
        ),
        r"""["']role["'][ ]?:[ ]?["'](?:system|assistant)["']|next_phase""",
    )
)
CONTROL_TOKEN = re.compile(
    r"<[ ]?\|[ ]?[\w.:/\u2581-]{1,40}[ ]?\|[ ]?>"
    r"|(?<![a-z])<[ ]?/?(?:think|tool_calls?|tool_response|tool_code|s|bos|eos|pad|unk|cls|sep|sop|eop|start_of_turn"
    r"|end_of_turn|start_of_image|end_of_image|begin_of_text|end_of_text|unused\d{1,4}|extra_id_\d{1,4}|reserved\d{0,4})>"
    r"|(?<![a-z])\[[ ]?/?(?:inst|available_tools|tool_calls|tool_results|tool_content|system_prompt|think|gmask|smask"
    r"|mask|cls|sep|pad|unk|bos|eos)\]"
    r"|<[ ]?<[ ]?/?sys>>"
)
# What is only spoken about: a phrase in quotation marks with a particle, a token that is called a token.
QUOTED = re.compile(
    r"""[^"'\u201d\u2019\n.]{0,15}["'\u201d\u2019] ?(?:이?라고|이?라는|같은|처럼|등|filter)"""
    r"""(?![^.\n]{0,8}(?:출력|답하|말해|써|적어))"""
)
NAMED = re.compile(r"""["'`]?(?:이?라는|같은|와|과|,|은|는|을|를)? ?(?:특수 |제어 )?(?:토큰|태그|token|tag)""")


class Phrases(NamedTuple):
    """One kind of attack in one language.

    Attributes:
        kind: Of the flags that they raise.
        pattern: All of them.
        hint: Something that each of them holds, quick to look for: where an answer has none of it, as most have not,
            ``pattern`` need not look. None: ``pattern`` is quick.
    """

    kind: FlagKind
    pattern: re.Pattern[str]
    hint: re.Pattern[str] | None = None

    def may_be_in(self, text: str) -> bool:
        """Whether ``pattern`` could find anything; where it could not, this costs a tenth."""
        return self.hint is None or self.hint.search(text) is not None


ENGLISH = tuple(Phrases(kind, _compiled(sources), re.compile(_HINTS[kind])) for kind, sources in _ENGLISH.items())
PHRASES = (
    *(
        Phrases(kind, _compiled(sources), re.compile(_KOREAN_HINT) if kind == "score_demand" else None)
        for kind, sources in _KOREAN.items()
    ),
    *ENGLISH,
    Phrases("fake_header", re.compile(_HEADERS, re.MULTILINE)),
)
