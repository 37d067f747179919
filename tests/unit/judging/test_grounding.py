"""What a report says about an interview rests on passages of its answers, or is dropped."""

from hypothesis import given
from hypothesis import strategies as st

from app.tasks.judging.case import Exchange
from app.tasks.judging.grounding import SHOWS_STRENGTH, grounded, passage
from app.tasks.report_parts import MOST_QUESTIONS, Grounded

ANSWER = "GC는 참조되지 않는 객체를 회수합니다. 저는 G1으로 바꾸면서 멈춤 시간을 줄인 경험이 있습니다. 네!"
EXCHANGES = [Exchange("가비지 컬렉션이란?", ANSWER), Exchange("인덱스란?", ""), Exchange("잠금이란?", "락입니다.")]

points = st.builds(
    Grounded,
    question=st.integers(1, MOST_QUESTIONS),
    text=st.text(alphabet="가나다 멈춤시간경험.", min_size=5, max_size=60),
)
exchanges = st.lists(st.builds(Exchange, st.text(max_size=20), st.text(max_size=120)), max_size=6)


def point(question: int, text: str = "멈춤 시간을 줄인 경험이 있다.") -> Grounded:
    return Grounded(question=question, text=text)


@given(st.lists(points, max_size=5), exchanges, st.data())
def test_every_quote_stands_in_the_answer_it_is_said_to_be_from(
    said: list[Grounded], about: list[Exchange], data: st.DataObject
) -> None:
    scores = data.draw(st.lists(st.integers(0, 10), min_size=len(about), max_size=len(about)))
    least = data.draw(st.integers(0, 10))
    texts, evidence = grounded("strengths", said, about, scores, least=least)
    assert [proof.index for proof in evidence] == list(range(len(texts)))
    assert set(texts) <= {one.text.strip() for one in said}
    assert len(texts) == len(set(texts))
    for proof in evidence:
        assert proof.quote
        assert proof.quote in about[proof.question - 1].answer
        assert scores[proof.question - 1] >= least


def test_the_sentence_that_shares_most_is_quoted_word_for_word() -> None:
    _, (proof,) = grounded("strengths", [point(1)], EXCHANGES, [8, 5, 5])
    assert (proof.field, proof.question) == ("strengths", 1)
    assert proof.quote == "저는 G1으로 바꾸면서 멈춤 시간을 줄인 경험이 있습니다."


def test_a_point_about_a_question_that_was_not_asked_is_dropped() -> None:
    assert grounded("strengths", [point(4), point(50)], EXCHANGES, [8, 8, 8]) == ([], [])


def test_a_point_about_a_question_without_an_answer_is_dropped() -> None:
    assert grounded("improvements", [point(2)], EXCHANGES, [8, 1, 8]) == ([], [])


def test_a_low_score_shows_no_strength() -> None:
    for score in range(11):
        texts, _ = grounded("strengths", [point(1)], EXCHANGES, [score, 0, 0], least=SHOWS_STRENGTH)
        assert bool(texts) == (score >= SHOWS_STRENGTH)


def test_a_point_is_made_once() -> None:
    texts, evidence = grounded("strengths", [point(1), point(3), point(1)], EXCHANGES, [8, 8, 8])
    assert len(texts) == len(evidence) == 1


@given(st.text(), st.text(max_size=400))
def test_a_passage_is_a_part_of_the_answer(said: str, answer: str) -> None:
    assert passage(said, answer) in answer
