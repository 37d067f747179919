"""Constrained answers: whatever the constraint, the answer is inside it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.errors import GrammarError
from simulator.grammar import CharClass, Choice, Grammar, Literal, Node, Reference, Repeat, Sequence, parse
from simulator.regexes import parse_regex
from simulator.schema import SchemaWriter
from simulator.text import dice
from simulator.walker import Walker, words
from tests.simulator.sim_harness import Simulator

FEEDBACK = r"""
# a JSON object as a service would ask for it
root ::= "{" ws "\"score\"" ws ":" ws score "," ws "\"reason\":" ws string "," ws "\"tags\":" ws tags ws "}"
score ::= [0-9] | "10"
string ::= "\"" char{1,120} "\""
char ::= [ !#-\[\]-~\uAC00-\uD7A3\u3131-\u318E\u2010-\u2027] | "\\" ["\\/bfnrt]
tags ::= "[" (string ("," ws string){0,4})? "]"
ws ::= [ \t\n]{0,2}
"""
RECURSIVE = r"""
root ::= value
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" (pair ("," pair)*)? "}"
pair ::= string ":" value
array ::= "[" (value ("," value)*)? "]"
string ::= "\"" letters "\""
letters ::= "" | [a-z] letters
number ::= "-"? ("0" | [1-9] [0-9]*)
"""


def pattern_of(node: Node, rules: dict[str, Node]) -> str:
    """The grammar as a Python pattern: an independent judge, for grammars without recursion."""
    match node:
        case Literal(text):
            return re.escape(text)
        case CharClass(ranges, negated):
            spans = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)
            return f"[{'^' if negated else ''}{spans}]"
        case Sequence(items):
            return "".join(pattern_of(item, rules) for item in items)
        case Choice(options):
            return f"(?:{'|'.join(pattern_of(option, rules) for option in options)})"
        case Repeat(item, low, high):
            return f"(?:{pattern_of(item, rules)}){{{low},{'' if high is None else high}}}"
        case Reference(name):
            return f"(?:{pattern_of(rules[name], rules)})"


def walk(grammar: Grammar, seed: int = 0, typical: int = 40) -> str:
    return Walker(grammar, dice(seed), typical).text()


def classes() -> st.SearchStrategy[Node]:
    spans = st.tuples(st.characters(codec="utf-8"), st.characters(codec="utf-8")).map(
        lambda pair: (min(map(ord, pair)), max(map(ord, pair)))
    )
    return st.lists(spans, min_size=1, max_size=3).map(lambda found: CharClass(tuple(found)))


def nodes() -> st.SearchStrategy[Node]:
    leaves = st.one_of(st.text(max_size=4).map(Literal), classes())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda found: Sequence(tuple(found))),
            st.lists(inner, min_size=1, max_size=3).map(lambda found: Choice(tuple(found))),
            st.tuples(inner, st.integers(0, 2), st.integers(0, 3) | st.none()).map(
                lambda found: Repeat(found[0], found[1], None if found[2] is None else found[1] + found[2])
            ),
        ),
        max_leaves=8,
    )


@settings(max_examples=150, deadline=None)
@given(nodes(), st.integers(0, 1000))
def test_every_walk_is_accepted_by_its_grammar(node: Node, seed: int) -> None:
    rules: dict[str, Node] = {"root": node}
    text = walk(Grammar(rules), seed)
    assert re.fullmatch(pattern_of(node, rules), text, re.DOTALL)


@pytest.mark.parametrize("seed", range(30))
def test_a_json_grammar_gives_json_with_korean_prose_inside_its_bounds(seed: int) -> None:
    grammar = parse(FEEDBACK)
    text = walk(grammar, seed)
    assert re.fullmatch(pattern_of(grammar.rules["root"], grammar.rules), text)
    value = json.loads(text)
    assert 0 <= value["score"] <= 10
    assert 1 <= len(value["reason"]) <= 120
    assert any("가" <= char <= "힣" for char in value["reason"])


@pytest.mark.parametrize("seed", range(30))
def test_a_recursive_grammar_comes_to_an_end(seed: int) -> None:
    json.loads(walk(parse(RECURSIVE), seed))


def test_a_string_stops_near_the_typical_length_when_it_may() -> None:
    grammar = parse(r"root ::= [ \uAC00-\uD7A3.]*")
    short, long = walk(grammar, 3, 20), walk(grammar, 3, 400)
    assert 20 <= len(short) < 90
    assert 400 <= len(long) < 500


def test_a_first_character_of_its_own_class_begins_the_prose() -> None:
    grammar = parse(r'root ::= "\"" [\uAC00-\uD7A3] [ !#-\[\]-~\uAC00-\uD7A3]{0,79} "\""')
    for seed in range(20):
        text = walk(grammar, seed, 30).strip('"')
        assert 1 <= len(text) <= 80
        assert text[-1] in ".?"
        assert " " in text


def test_a_class_of_both_scripts_takes_the_language_of_the_prompt(sim: Simulator) -> None:
    grammar = r"root ::= [ -~\uAC00-\uD7A3]{1,90}"
    assert sim.text(ebnf=grammar).isascii()
    assert "가" <= sim.text(ebnf=grammar, messages=[{"role": "user", "content": "안녕하세요"}])[0] <= "힣"


def test_escapes_ranges_and_quantifiers_mean_what_they_say() -> None:
    grammar = parse(r'root ::= "a\"\n\t\\\x41\uAC00" [\u0030-\u0031]{3} ("x" | "y")? [^a-z]{1,2} # end')
    pattern = re.compile('a"\n\t\\\\A가[01]{3}[xy]?[^a-z]{1,2}')
    assert all(pattern.fullmatch(walk(grammar, seed)) for seed in range(20))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('root ::= "a', "line 1, column 10: Unexpected character"),
        ("root ::= (missing)", 'Rule "missing" is not defined'),
        ('root ::= ("a"', "Expect )"),
        ('start ::= "a"', 'root rule with name "root"'),
        ('root ::= "a"{3,1}', "Lower bound"),
        ("root ::= [z-a]", "lower bound"),
    ],
)
def test_a_broken_grammar_is_refused_with_a_place(text: str, said: str) -> None:
    with pytest.raises(GrammarError, match=re.escape(said)):
        parse(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[0-9]{3}-[0-9]{4}",
        r"(?:foo|ba[rz])+\d?",
        r"\w+@\w+\.(com|kr)",
        r"^\s*[^a-y\d]{2,}$",
        r"가{2,3}.나?",
        r"\u0041\x42",
    ],
)
def test_a_regex_answer_matches_its_regex(pattern: str) -> None:
    grammar = parse_regex(pattern)
    assert all(re.fullmatch(pattern, walk(grammar, seed)) for seed in range(20))


def test_small_grammars_are_counted_out() -> None:
    assert words(parse('root ::= [1-3] | "10"')) == ["1", "10", "2", "3"]
    assert words(parse('root ::= ("a" | "b"){1,2}')) == ["a", "aa", "ab", "b", "ba", "bb"]
    assert words(parse("root ::= [a-z]*")) is None


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.sampled_from(
        [
            {"type": "string", "minLength": 2, "maxLength": 30},
            {"type": "integer", "minimum": -3, "maximum": 3},
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": ["boolean", "null"]},
            {"enum": ["가", "나", 3]},
            {"const": {"a": 1}},
            {"type": "string", "pattern": "[a-f]{4}"},
        ]
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3).map(
                lambda found: {"type": "object", "properties": found, "required": list(found)}
            ),
            inner.map(lambda found: {"type": "array", "items": found, "minItems": 1, "maxItems": 3}),
            inner.map(lambda found: {"anyOf": [found, {"type": "null"}]}),
        ),
        max_leaves=6,
    )


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """A small judge for the schemas above."""
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    if "anyOf" in schema:
        return value is None or fits(value, schema["anyOf"][0])
    match schema["type"]:
        case "object":
            names = schema["properties"]
            return list(value) == list(names) and all(fits(value[name], names[name]) for name in names)
        case "array":
            return 1 <= len(value) <= 3 and all(fits(item, schema["items"]) for item in value)
        case "string" if "pattern" in schema:
            return re.fullmatch(schema["pattern"], value) is not None
        case "string":
            return schema["minLength"] <= len(value) <= schema["maxLength"]
        case "integer" | "number":
            return schema["minimum"] <= value <= schema["maximum"]
        case _:
            return value in (True, False, None)


@settings(max_examples=100, deadline=None)
@given(schemas(), st.integers(0, 1000))
def test_every_instance_fits_its_schema(schema: dict[str, Any], seed: int) -> None:
    text = SchemaWriter(schema, dice(seed), 25, "ko").text()
    assert fits(json.loads(text), schema)


def test_a_recursive_schema_comes_to_an_end() -> None:
    node = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}}
    text = SchemaWriter({"$ref": "#/$defs/node", "$defs": {"node": node}}, dice(1), 10, "en").text()
    assert "next" in json.loads(text)


def test_the_server_answers_inside_a_grammar_plain_and_streamed(sim: Simulator) -> None:
    value = json.loads(sim.text(ebnf=FEEDBACK))
    assert list(value) == ["score", "reason", "tags"]


def test_a_constrained_digit_has_a_bell_of_log_probabilities(sim: Simulator) -> None:
    answer = sim.ask(ebnf="root ::= [1-5]", logprobs=True, top_logprobs=5, max_tokens=1).json()
    (entry,) = answer["choices"][0]["logprobs"]["content"]
    top = [(row["token"], row["logprob"]) for row in entry["top_logprobs"]]
    assert {token for token, _ in top} == set("12345")
    assert top[0] == (entry["token"], entry["logprob"])
    assert [value for _, value in top] == sorted((value for _, value in top), reverse=True)
    assert sum(2.718281828459045**value for _, value in top) == pytest.approx(1.0)


def test_a_digit_inside_a_constrained_object_ranges_over_its_own_digits(sim: Simulator) -> None:
    events = sim.events(ebnf=r'root ::= "{\"s\":" [2-4] "}"', logprobs=True, top_logprobs=3)
    found = [event["choices"][0]["logprobs"] for event in events if event != "[DONE]"]
    tops = [logprobs["content"][0]["top_logprobs"] for logprobs in found if logprobs]
    (digits,) = [{row["token"] for row in top} for top in tops if top[0]["token"].isdigit()]
    assert digits == set("234")


@pytest.mark.parametrize("constraint", [{"ebnf": "root ::= " + "(" * 5000}, {"regex": "(" * 5000}, {"regex": r"\u1"}])
def test_an_absurd_constraint_is_a_400_and_not_a_crash(sim: Simulator, constraint: dict[str, str]) -> None:
    assert sim.ask(**constraint).status_code == 400
    assert sim.ask(max_tokens=1).status_code == 200


def test_a_broken_ebnf_is_a_400_plain_and_an_event_in_a_stream(sim: Simulator) -> None:
    plain = sim.ask(ebnf="root ::= (")
    assert (plain.status_code, plain.json()["type"]) == (400, "BadRequestError")
    assert plain.json()["message"].startswith("Failed to compile ebnf grammar: [")
    first = sim.events(ebnf="root ::= (")[0]
    assert (first["error"]["code"], first["error"]["type"]) == (400, "BAD_REQUEST")
