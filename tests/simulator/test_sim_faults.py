"""Each fault switch, seen from a client's socket."""

import json
import socket

import httpx2
import pytest

from tests.simulator.sim_harness import CHAT, QUESTION, Simulator, content_of, events_of, finish_of

ANSWER = '{"score": 4, "reason": "결과를 숫자로 말해 주니 이해하기 쉬웠습니다."}'


def raw_answer(sim: Simulator, **fields: object) -> bytes:
    """Every byte the server sends for one chat, until it closes the connection."""
    body = json.dumps({**QUESTION, **fields}).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: sim\r\ncontent-type: application/json\r\nconnection: close\r\n"
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as connection:
        connection.sendall(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
        parts: list[bytes] = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(("status", "kind"), [(500, "InternalServerError"), (502, "502"), (503, "503")])
def test_a_status_fault_answers_with_the_flat_error_body(sim: Simulator, status: int, kind: str) -> None:
    sim.fault("status", status=status, message="out of order")
    for stream in (False, True):
        answer = sim.ask(stream=stream)
        assert answer.status_code == status
        assert list(answer.json().items()) == [
            ("object", "error"), ("message", "out of order"), ("type", kind), ("param", None), ("code", status),
        ]  # fmt: skip


def test_a_counted_fault_ends_and_a_skipped_one_begins_later(sim: Simulator) -> None:
    sim.fault("status", status=503, skip=1, count=2)
    assert [sim.ask(max_tokens=1).status_code for _ in range(4)] == [200, 503, 503, 200]


def test_a_probable_fault_hits_the_same_requests_every_time(sim: Simulator) -> None:
    def outcomes() -> list[int]:
        sim.fault("status", probability=0.5, seed=7)
        return [sim.ask(max_tokens=1).status_code for _ in range(12)]

    first = outcomes()
    assert set(first) == {200, 500}
    assert outcomes() == first


def test_a_fault_can_be_kept_to_streams_to_a_route_or_to_a_text(sim: Simulator) -> None:
    sim.fault("status", stream=True)
    assert [sim.ask(max_tokens=1, stream=stream).status_code for stream in (False, True)] == [200, 500]
    sim.fault("status", routes=["/v1/models"], status=502)
    assert [sim.ask(max_tokens=1).status_code, sim.client.get("/v1/models").status_code] == [200, 502]
    sim.fault("status", match='"user":"unlucky"')
    assert [sim.ask(max_tokens=1, user=user).status_code for user in ("lucky", "unlucky")] == [200, 500]


def test_an_unknown_fault_is_refused_with_422(sim: Simulator) -> None:
    assert sim.client.post("/_sim/faults", json={"kind": "gremlin"}).status_code == 422
    assert sim.client.post("/_sim/faults", json={"kind": "hang", "second": 1}).status_code == 422


def test_a_reset_before_the_first_byte_is_a_tcp_rst(sim: Simulator) -> None:
    sim.fault("reset")
    with pytest.raises(ConnectionResetError):
        raw_answer(sim)


@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_after_some_tokens_is_a_tcp_rst(sim: Simulator, *, stream: bool) -> None:
    sim.fault("reset", tokens=3)
    with pytest.raises(ConnectionResetError):
        raw_answer(sim, stream=stream)


def test_a_dropped_stream_stops_after_its_tokens_without_the_last_chunk(sim: Simulator) -> None:
    sim.script("one two three four")
    sim.fault("drop", tokens=2)
    raw = raw_answer(sim, stream=True)
    assert b'"content":" two"' in raw
    assert b" three" not in raw
    assert not raw.endswith(b"0\r\n\r\n")


def test_a_dropped_plain_answer_is_shorter_than_its_length_says(sim: Simulator) -> None:
    sim.fault("drop")
    with pytest.raises(httpx2.RemoteProtocolError):
        sim.ask()


def test_a_hang_sends_nothing_until_the_client_leaves(sim: Simulator) -> None:
    sim.fault("hang")
    with pytest.raises(httpx2.ReadTimeout):
        sim.client.post(CHAT, json={**QUESTION, "stream": True}, timeout=0.2)
    sim.wait(running=0, aborted=1)


def test_a_hang_with_an_end_only_delays_the_answer(sim: Simulator) -> None:
    sim.fault("hang", seconds=0.05)
    assert finish_of(sim.events()) == "stop"


def test_a_stall_pauses_between_chunks(sim: Simulator) -> None:
    sim.script("one two three four")
    sim.fault("stall", tokens=2)
    seen: list[str] = []
    waiting = sim.client.stream("POST", CHAT, json={**QUESTION, "stream": True}, timeout=0.3)
    with pytest.raises(httpx2.ReadTimeout), waiting as answer:
        seen.extend(answer.iter_text())
    assert content_of(events_of("".join(seen))) == "one two"
    sim.wait(running=0, aborted=1)
    sim.fault("stall", tokens=2, seconds=0.05)
    assert content_of(sim.events()) == "one two three four"


def test_a_drip_sends_every_byte_of_the_body_in_a_chunk_of_its_own(sim: Simulator) -> None:
    sim.script("one")
    sim.fault("drip", seconds=0)
    raw = raw_answer(sim, stream=True)
    body = raw.split(b"\r\n\r\n", 1)[1]
    sizes = body.split(b"\r\n")[0:-3:2]
    assert set(sizes) == {b"1"}
    assert sim.text() == "one"


@pytest.mark.parametrize("stream", [False, True])
def test_a_truncated_text_ends_at_its_byte_with_finish_reason_length(sim: Simulator, *, stream: bool) -> None:
    sim.script(ANSWER)
    sim.fault("truncate", bytes=30)
    if stream:
        events = sim.events()
        text, finish = content_of(events), finish_of(events)
    else:
        choice = sim.ask().json()["choices"][0]
        text, finish = choice["message"]["content"], choice["finish_reason"]
    assert finish == "length"
    assert text == ANSWER.encode()[:30].decode("utf-8", "ignore")


def test_a_text_can_be_truncated_by_a_dropped_connection(sim: Simulator) -> None:
    sim.script(ANSWER)
    sim.fault("truncate", bytes=12, how="drop")
    raw = raw_answer(sim, stream=True)
    assert b'finish_reason":"' not in raw
    assert not raw.endswith(b"0\r\n\r\n")
    with pytest.raises(httpx2.RemoteProtocolError):
        sim.ask()


def test_whitespace_for_ever_runs_into_max_tokens(sim: Simulator) -> None:
    sim.script(ANSWER)
    sim.fault("whitespace", bytes=10)
    events = sim.events(max_tokens=300)
    text = content_of(events)
    assert text.startswith('{"score": ')
    assert text[10:].strip() == ""
    assert len(text) > 300
    assert finish_of(events) == "length"


def test_a_string_that_never_ends_runs_into_max_tokens(sim: Simulator) -> None:
    sim.script(ANSWER)
    sim.fault("endless_string", bytes=25)
    answer = sim.ask(max_tokens=2000).json()
    text = answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2000
    assert '"' not in text[25:]


def test_repetition_says_the_same_words_again_and_again(sim: Simulator) -> None:
    sim.script("같은 말을 합니다.")
    sim.fault("repetition", bytes=100)
    assert sim.text(max_tokens=200).count("같은 말을 합니다.") > 10


@pytest.mark.parametrize("stream", [False, True])
def test_the_reasoning_fault_moves_the_text_out_of_content(sim: Simulator, *, stream: bool) -> None:
    sim.script(ANSWER)
    sim.fault("reasoning")
    if stream:
        deltas = [event["choices"][0]["delta"] for event in sim.events() if event != "[DONE]"]
        assert "".join(delta["reasoning_content"] or "" for delta in deltas) == ANSWER
        assert [delta["content"] for delta in deltas if "content" in delta] == [""]
    else:
        message = sim.ask().json()["choices"][0]["message"]
        assert (message["content"], message["reasoning_content"]) == (None, ANSWER)


@pytest.mark.parametrize("stream", [False, True])
def test_the_abort_fault_ends_an_answer_early(sim: Simulator, *, stream: bool) -> None:
    sim.script("one two three four")
    sim.configure(tps=200)
    sim.fault("abort", tokens=2)
    answer = sim.ask(stream=stream)
    if stream:
        assert (content_of(events_of(answer.text)), finish_of(events_of(answer.text))) == ("one two", "abort")
    else:
        assert answer.json()["choices"][0]["finish_reason"] == "abort"
    assert sim.state()["aborted"] == 1


@pytest.mark.parametrize("stream", [False, True])
def test_invalid_utf8_reaches_the_client_as_it_is(sim: Simulator, *, stream: bool) -> None:
    sim.script("one two three four")
    sim.fault("invalid_utf8", tokens=2)
    raw = raw_answer(sim, stream=stream)
    assert b"\xff" in raw
    with pytest.raises(UnicodeDecodeError):
        raw.decode()


def test_an_error_event_comes_inside_the_200_and_is_followed_by_done(sim: Simulator) -> None:
    sim.script("one two three four")
    sim.fault("error_event", tokens=2, status=503)
    answer = sim.ask(stream=True)
    events = events_of(answer.text)
    assert answer.status_code == 200
    assert content_of(events[:-2]) == "one two"
    assert events[-2]["error"]["type"] == "SERVICE_UNAVAILABLE"
    assert events[-1] == "[DONE]"


def test_an_error_before_the_first_token_is_the_first_event(sim: Simulator) -> None:
    sim.fault("error_event", status=500, message="boom")
    first, second = sim.events()
    assert first["error"] == {
        "object": "error", "message": "boom", "type": "INTERNAL_SERVER_ERROR", "param": None, "code": 500,
    }  # fmt: skip
    assert second == "[DONE]"
    assert sim.ask().status_code == 500


def test_a_stream_can_end_without_done_or_without_any_end(sim: Simulator) -> None:
    sim.script("one two three four")
    sim.fault("no_done")
    events = sim.events()
    assert "[DONE]" not in events
    assert finish_of(events) == "stop"
    sim.fault("silent_end", tokens=3)
    events = sim.events()
    assert "[DONE]" not in events
    assert (content_of(events), finish_of(events)) == ("one two three", None)


def test_two_faults_can_hit_one_request(sim: Simulator) -> None:
    sim.script("one two three four")
    faults = [{"kind": "reasoning"}, {"kind": "truncate", "bytes": 7}]
    sim.client.post("/_sim/faults", json=faults).raise_for_status()
    choice = sim.ask().json()["choices"][0]
    assert (choice["message"]["reasoning_content"], choice["finish_reason"]) == ("one two", "length")


def test_clearing_the_faults_ends_them(sim: Simulator) -> None:
    sim.fault("status")
    sim.client.request("DELETE", "/_sim/faults").raise_for_status()
    assert sim.ask(max_tokens=1).status_code == 200
