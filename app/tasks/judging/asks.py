"""Whether what an interviewer says leaves the candidate something to answer. Pure; Korean and English.

A small model now and then only announces a question, asks for leave to ask one, or repeats the answer that it was
given. Whoever hears that can say nothing, or only yes, which would be judged as an answer. In doubt a message asks: a
second question behind one is worse than none.
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

# A sentence in which the interviewer asks what to do, not what the candidate has to say: "may I go on to the next
# question", "what more shall I ask", "are you ready". One that asks how or why, or a candidate to speak, is none.
_LEAVE = re.compile(
    r"(?:"
    r"(?:질문|주제|단계|이야기)(?:을|를|으?로|도|이|은)? ?(?:(?:하나|한 ?가지|더|다시|좀|계속) ?){0,2}"
    r"(?:넘어가|넘어갈|옮겨|옮길|바꿔|바꿀|이어|던져|던질|드려|드릴|해|할|여쭤|여쭐|진행해|진행할|시작해|시작할)"
    r"(?![ 가-힣]*[주하]실)[ 가-힣]{0,12}까요"
    r"|(?:물어|여쭤|질문해) ?(?:볼|봐도|보아도|드려도|드릴)(?![ 가-힣]*[주하]실)[ 가-힣]{0,10}까요"
    r"|다른 질문이 (?:필요|있)[ 가-힣]{0,20}"
    r"|(?:도와|알려|설명해|소개해|도움을|설명을|안내를) ?드릴까요"
    r"|(?:도움|정보)[이가] 필요하(?:시나요|신가요|세요|십니까)"
    r"|준비(?:가|는)? ?(?:되셨|됐|되었)[ 가-힣]{0,4}(?:나요|까|죠)"
    r"|(?:may|can|could|shall|should) (?:i|we) (?:ask|move|go on|go ahead|go to the next|continue|proceed|start|begin)"
    r"(?![ a-z]* (?:how|why|what|which|where|when|who|about))[ a-z]*"
    r"|are you ready[ a-z]*"
    r"|how (?:can|may) i help[ a-z]*"
    r")[.?!]+",
    re.IGNORECASE,
)


def asks(message: str) -> bool:
    """Whether ``message`` asks for anything: by a question mark, or in the words of a request."""
    rest = _LEAVE.sub("", message)
    return "?" in rest or bool(_KOREAN.search(rest) or _ENGLISH.search(rest))
