"""Slots, queue, priorities, aborts, clients that leave, the cache and the counters."""

import pytest

from tests.simulator.sim_harness import (
    QUESTION,
    Background,
    Simulator,
    content_of,
    events_of,
    finish_of,
)


def test_a_request_beyond_the_slots_waits_for_one(sim: Simulator) -> None:
    sim.configure(slots=1, ttft=600)
    first = Background(lambda: sim.ask(rid="first"))
    sim.wait(running=1)
    second = Background(lambda: sim.ask(rid="second"))
    assert sim.wait(queued=1)["running_rids"] == ["first"]
    sim.client.post("/abort_request", json={"rid": "first"})
    assert sim.wait(queued=0, running=1)["running_rids"] == ["second"]
    sim.client.post("/abort_request", json={"rid": "second"})
    assert {first.result().status_code, second.result().status_code} == {200}


def test_the_urgent_request_passes_the_waiting_one(sim: Simulator) -> None:
    sim.configure(slots=1, ttft=600)
    calls = [Background(lambda: sim.ask(rid="running"))]
    sim.wait(running=1)
    for count, (rid, priority) in enumerate([("low", 1), ("unset", None), ("high", 9), ("mid", 5)], start=1):
        calls.append(Background(lambda rid=rid, priority=priority: sim.ask(rid=rid, priority=priority)))
        sim.wait(queued=count)
    served: list[str] = []
    for _ in range(5):
        served += sim.state()["running_rids"]
        completed = len(served)
        sim.client.post("/abort_request", json={"rid": served[-1]})
        sim.wait(aborted=completed)
    assert served == ["running", "high", "mid", "low", "unset"]
    assert [call.result().status_code for call in calls] == [200] * 5


def test_without_priority_scheduling_the_field_is_ignored(sim: Simulator) -> None:
    sim.configure(slots=1, ttft=600, priority=False)
    calls = [Background(lambda: sim.ask(rid="running"))]
    sim.wait(running=1)
    calls.append(Background(lambda: sim.ask(rid="early")))
    sim.wait(queued=1)
    calls.append(Background(lambda: sim.ask(rid="urgent", priority=9)))
    sim.wait(queued=2)
    sim.client.post("/abort_request", json={"rid": "running"})
    assert sim.wait(running=1, aborted=1)["running_rids"] == ["early"]
    sim.client.post("/abort_request", json={"abort_all": True})
    assert [call.result().status_code for call in calls] == [200] * 3


@pytest.mark.parametrize("stream", [False, True])
def test_in_a_full_queue_the_urgent_request_evicts_the_least_urgent(sim: Simulator, *, stream: bool) -> None:
    sim.configure(slots=1, max_queued=1, ttft=600)
    running = Background(lambda: sim.ask(rid="running"))
    sim.wait(running=1)
    low = Background(lambda: sim.ask(rid="low", priority=1, stream=stream))
    sim.wait(queued=1)
    high = Background(lambda: sim.ask(rid="high", priority=2))
    evicted = low.result()
    said = "The request is aborted by a higher priority request."
    if stream:
        assert evicted.status_code == 200
        assert events_of(evicted.text)[0]["error"]["message"] == said
    else:
        assert (evicted.status_code, evicted.json()["message"]) == (503, said)
    sim.client.post("/abort_request", json={"abort_all": True})
    assert [running.result().status_code, high.result().status_code] == [200, 200]


def test_an_abort_matches_the_beginning_of_the_id(sim: Simulator) -> None:
    sim.configure(ttft=600)
    calls = {rid: Background(lambda rid=rid: sim.ask(rid=rid)) for rid in ("a-1", "a-10", "b-1")}
    sim.wait(running=3)
    sim.client.post("/abort_request", json={"rid": "a-1"})
    assert sim.wait(running=1)["running_rids"] == ["b-1"]
    sim.client.post("/abort_request", json={"rid": "b-1"})
    assert {call.result().json()["choices"][0]["finish_reason"] for call in calls.values()} == {"abort"}


def test_an_id_in_flight_cannot_be_used_again(sim: Simulator) -> None:
    sim.configure(ttft=600)
    call = Background(lambda: sim.ask(rid="same"))
    sim.wait(running=1)
    again = sim.ask(rid="same", stream=True)
    assert (again.status_code, again.json()["message"]) == (400, "Duplicate request ID detected: same")
    sim.client.post("/abort_request", json={"rid": "same"})
    assert call.result().json()["id"] == "same"


def test_an_aborted_stream_keeps_what_it_said_and_ends_in_order(sim: Simulator) -> None:
    sim.script("one two three four five six seven")
    sim.configure(tps=0.5)
    with sim.in_flight(rid="r", stream_options={"include_usage": True}) as answer:
        lines = answer.iter_lines()
        head = [next(lines) for _ in range(3)]
        sim.client.post("/abort_request", json={"rid": "r"})
        events = events_of("\n".join([*head, *lines]) + "\n")
    assert content_of(events) == "one"
    assert finish_of(events) == "abort"
    assert events[-2]["usage"]["completion_tokens"] == 1
    assert events[-1] == "[DONE]"


def test_a_stream_whose_client_leaves_is_freed_at_once(sim: Simulator) -> None:
    sim.configure(tps=1, disconnect_poll=600)
    with sim.in_flight() as answer:
        lines = answer.iter_lines()
        next(lines)
        sim.wait(running=1)

    sim.wait(running=0, aborted=1)


def test_a_client_that_leaves_while_queued_frees_its_place(sim: Simulator) -> None:
    sim.configure(slots=1, ttft=600, disconnect_poll=600)
    call = Background(lambda: sim.ask(rid="running"))
    sim.wait(running=1)
    queued = Background(lambda: sim.client.post("/v1/chat/completions", json={**QUESTION, "stream": True}, timeout=0.2))
    sim.wait(queued=1)
    sim.wait(queued=0, aborted=1)
    with pytest.raises(Exception, match="timed out"):
        queued.result()
    sim.client.post("/abort_request", json={"rid": "running"})
    assert call.result().status_code == 200


def test_a_plain_request_whose_client_left_is_freed_at_the_next_look(sim: Simulator) -> None:
    sim.configure(ttft=600, disconnect_poll=0.3)
    gone = Background(lambda: sim.client.post("/v1/chat/completions", json=QUESTION, timeout=0.05))
    with pytest.raises(Exception, match="timed out"):
        gone.result()
    assert sim.state(0)["running"] == 1
    sim.wait(running=0, aborted=1)


def test_the_same_prompt_again_is_cached_but_for_its_last_token(sim: Simulator) -> None:
    def usage() -> tuple[int, int]:
        found = sim.ask(max_tokens=1).json()["usage"]
        return found["prompt_tokens"], found["prompt_tokens_details"]["cached_tokens"]

    tokens, cold = usage()
    assert cold == 0
    assert usage() == (tokens, tokens - 1)
    sim.client.post("/flush_cache").raise_for_status()
    assert usage() == (tokens, 0)
    sim.configure(prefix_cache=False)
    assert usage() == (tokens, 0)


def test_a_shared_beginning_is_cached(sim: Simulator) -> None:
    system = {"role": "system", "content": "당신은 면접관입니다. 차분하게 질문하고 짧게 답하세요. " * 10}
    sim.ask(messages=[system, {"role": "user", "content": "첫째 질문"}], max_tokens=1)
    usage = sim.ask(messages=[system, {"role": "user", "content": "다른 질문"}], max_tokens=1).json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert usage["prompt_tokens"] * 0.9 < cached < usage["prompt_tokens"]


def test_the_cache_makes_prefill_shorter(sim: Simulator) -> None:
    sim.configure(prefill_tps=0.01)
    call = Background(lambda: sim.ask(rid="cold"))
    sim.wait(running=1)
    sim.client.post("/abort_request", json={"rid": "cold"})
    call.result()
    sim.configure(prefill_tps=100)
    assert sim.ask(max_tokens=1).json()["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_a_full_engine_cannot_flush_its_cache(sim: Simulator) -> None:
    sim.configure(ttft=600)
    call = Background(lambda: sim.ask(rid="r"))
    sim.wait(running=1)
    assert sim.client.post("/flush_cache").status_code == 400
    sim.client.post("/abort_request", json={"rid": "r"})
    call.result()


def test_metrics_and_loads_show_what_runs_and_what_waits(sim: Simulator) -> None:
    sim.configure(slots=1, ttft=600)
    calls = [Background(sim.ask)]
    sim.wait(running=1)
    calls.append(Background(sim.ask))
    sim.wait(queued=1)
    text = sim.client.get("/metrics").text
    figures = {line.split("{")[0]: float(line.split()[-1]) for line in text.splitlines() if line[0] != "#"}
    assert figures["sglang:num_running_reqs"] == figures["sglang:num_queue_reqs"] == 1
    assert 0 < figures["sglang:token_usage"] < 1
    load = sim.client.get("/v1/loads").json()["loads"][0]
    assert (load["num_running_reqs"], load["num_waiting_reqs"], load["queues"]["waiting"]) == (1, 1, 1)
    sim.client.post("/abort_request", json={"abort_all": True})
    assert [call.result().status_code for call in calls] == [200, 200]


def test_metrics_can_be_turned_off(sim: Simulator) -> None:
    sim.configure(metrics=False)
    assert sim.client.get("/metrics").status_code == 404


def test_tokens_come_in_larger_chunks_when_asked(sim: Simulator) -> None:
    sim.script("one two three four five six")
    sim.configure(tokens_per_chunk=4)
    events = sim.events()
    texts = [event["choices"][0]["delta"].get("content") for event in events if event != "[DONE]"]
    assert texts == ["", "one two three four", " five six", None]


def test_a_stop_string_ends_the_answer_before_it(sim: Simulator) -> None:
    sim.script("one two three four")
    choice = sim.ask(stop=[" three"]).json()["choices"][0]
    assert choice["message"]["content"] == "one two"
    assert (choice["finish_reason"], choice["matched_stop"]) == ("stop", " three")


def test_the_same_prompt_gives_the_same_answer_in_its_language(sim: Simulator) -> None:
    korean = [{"role": "user", "content": "자기소개를 해 주세요."}]
    assert sim.text(messages=korean) == sim.text(messages=korean) == content_of(sim.events(messages=korean))
    assert any("가" <= char <= "힣" for char in sim.text(messages=korean))
    assert sim.text().isascii()
    assert sim.text() != sim.text(messages=[{"role": "user", "content": "Another question"}])


def test_a_script_is_given_in_turn_and_starts_again(sim: Simulator) -> None:
    sim.script("first", "둘째")
    assert [sim.text() for _ in range(3)] == ["first", "둘째", "first"]
    sim.script()
    assert sim.text() not in ("first", "둘째")


def test_a_script_can_answer_by_a_text_of_the_prompt(sim: Simulator) -> None:
    sim.client.post("/_sim/script", json={"capital of": {"city": "Paris"}, "capital": "no"}).raise_for_status()
    assert sim.text() == '{"city": "Paris"}'
    assert sim.text(messages=[{"role": "user", "content": "Is it the capital?"}]) == "no"
    assert sim.text(messages=[{"role": "user", "content": "Another question"}]) not in ("no", '{"city": "Paris"}')
    assert sim.client.post("/_sim/script", json="no script").status_code == 422


def test_the_state_shows_each_request_as_it_arrived(sim: Simulator) -> None:
    sim.client.post(
        "/v1/chat/completions",
        json={**QUESTION, "rid": "r-1", "chat_template_kwargs": {"enable_thinking": False}, "max_tokens": 1},
        headers={"x-request-id": "abc", "traceparent": "00-1-2-01"},
    )
    state = sim.state(1)
    (request,) = state["requests"]
    assert (state["total"], state["completed"]) == (1, 1)
    assert (request["path"], request["status"]) == ("/v1/chat/completions", 200)
    assert request["body"]["rid"] == "r-1"
    assert request["body"]["chat_template_kwargs"] == {"enable_thinking": False}
    assert (request["headers"]["x-request-id"], request["headers"]["traceparent"]) == ("abc", "00-1-2-01")


def test_waiting_for_what_never_comes_ends_with_408(sim: Simulator) -> None:
    assert sim.client.get("/_sim/wait", params={"running": 1, "timeout": 0.05}).status_code == 408
    assert sim.client.get("/_sim/wait", params={"nonsense": 1}).status_code == 422
