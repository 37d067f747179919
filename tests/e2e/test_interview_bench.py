"""The interview benchmark finds a real engine; what it measures there takes a quarter of an hour."""

from bench.interview_stage import stage


def test_both_services_have_asked_the_embedded_engine_before_anything_is_measured() -> None:
    with stage("embedded", tps=0) as scene:
        assert len(scene.urls) == 2
        assert scene.tokens().completion >= 2
