"""Each recorded exchange of the real server, repeated against the simulator."""

import httpx2
import pytest

from tests.simulator import sim_samples as samples
from tests.simulator.sim_harness import CHAT, Background, Simulator, events_of

PLAIN = [
    "chat", "chat_again_cached", "chat_length", "chat_logprobs", "chat_n2", "choice_ebnf", "completions", "err_model",
    "generate", "json_object", "priority", "regex", "rid", "schema", "tokenize", "tools",
]  # fmt: skip
STREAMS = [
    "chat_stream", "chat_stream_contusage", "chat_stream_nousage", "completions_stream", "generate_stream",
    "schema_stream",
]  # fmt: skip
EXACT_ERRORS = [
    "err_emptymessages", "err_nomessages", "err_regex", "err_rf_noschema", "err_role", "err_schema_badref",
    "err_schema_badtype", "err_schema_range", "err_temp", "err_badjson",
]  # fmt: skip
PROBES = ["health", "health_generate", "ping", "v1_models", "v1_models_one", "v1_loads", "get_load", "notfound"]
PATHS = {"notfound": "/nope", "v1_models_one": "/v1/models/smol", "v1_models": "/v1/models", "v1_loads": "/v1/loads"}


def path_of(name: str) -> str:
    routes = {"completions": "/v1/completions", "generate": "/generate", "tokenize": "/tokenize"}
    return routes.get(name.removesuffix("_stream"), CHAT)


def post(sim: Simulator, path: str, body: bytes) -> httpx2.Response:
    return sim.client.post(path, content=body, headers={"content-type": "application/json"})


def assert_same_head(answer: httpx2.Response, sample: samples.Sample) -> None:
    assert answer.status_code == sample.status
    assert [name.lower() for name in answer.headers] == sample.header_names
    assert answer.headers.get("content-type") == sample.content_type


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_answer_has_the_keys_and_types_of_the_recorded_one(sim: Simulator, name: str) -> None:
    sample = samples.response(f"{name}.response.txt")
    recorded = samples.parsed(sample.body)
    if name.startswith("chat") and name != "chat_n2":
        sim.script("The capital of France is Paris.")
    if name == "tools":
        sim.script("It is Paris.")
    if name == "json_object":
        sim.script('{"a": "' + "b" * 400)
    answer = post(sim, path_of(name), samples.request(name))
    assert_same_head(answer, sample)
    assert samples.shape(answer.json()) == samples.shape(recorded)
    for ours, theirs in zip(answer.json().get("choices", []), recorded.get("choices", []), strict=True):
        assert (ours["finish_reason"], ours["matched_stop"]) == (theirs["finish_reason"], theirs["matched_stop"])


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_has_the_events_of_the_recorded_one(sim: Simulator, name: str) -> None:
    sample = samples.response(f"{name}.response.txt")
    sim.script("The capital of France is Paris." if name.startswith("chat") else '{"colour": "blue", "score": 8}')
    answer = post(sim, path_of(name), samples.request(name))
    assert_same_head(answer, sample)
    ours, theirs = events_of(answer.text), events_of(sample.body)
    assert samples.stream_shape(ours) == samples.stream_shape(theirs)
    finished = [event for event in theirs if event != "[DONE]" and event.get("choices")]
    if finished:
        mine = [event for event in ours if event != "[DONE]" and event.get("choices")][-1]["choices"][0]
        assert mine["finish_reason"] == finished[-1]["choices"][0]["finish_reason"]


@pytest.mark.parametrize("name", EXACT_ERRORS)
def test_an_error_has_the_exact_recorded_body(sim: Simulator, name: str) -> None:
    sample = samples.response(f"{name}.response.txt")
    answer = post(sim, CHAT, samples.request(name))
    assert_same_head(answer, sample)
    assert samples.timeless(answer.text) == samples.timeless(sample.body)


def test_a_schema_error_of_a_stream_comes_inside_the_200(sim: Simulator) -> None:
    sample = samples.response("err_schema_stream.response.txt")
    answer = post(sim, CHAT, samples.request("err_schema_stream"))
    assert_same_head(answer, sample)
    assert samples.timeless(answer.text) == samples.timeless(sample.body)


@pytest.mark.parametrize("name", ["err_context", "err_context_stream"])
def test_a_prompt_beyond_the_context_is_a_400_even_for_a_stream(sim: Simulator, name: str) -> None:
    sample = samples.response(f"{name}.response.txt")
    words = [{"role": "user", "content": "word " * 9000}]
    answer = sim.ask(messages=words, stream=name.endswith("stream"))
    assert_same_head(answer, sample)
    assert samples.numberless(answer.text) == samples.numberless(sample.body)


def test_prompt_and_max_tokens_beyond_the_context_are_a_400(sim: Simulator) -> None:
    sample = samples.response("err_maxtokens.response.txt")
    answer = post(sim, CHAT, samples.request("err_maxtokens"))
    assert_same_head(answer, sample)
    assert samples.numberless(answer.text) == samples.numberless(sample.body)


def test_a_prompt_beyond_the_kv_pool_has_an_error_of_its_own(sim: Simulator) -> None:
    sim.configure(kv_tokens=2048)
    sample = samples.response("err_context_kv.txt")
    answer = sim.ask(messages=[{"role": "user", "content": "word " * 3000}])
    assert_same_head(answer, sample)
    assert samples.numberless(answer.text) == samples.numberless(sample.body)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_answers_as_the_recorded_one(sim: Simulator, name: str) -> None:
    sample = samples.response(f"{name}.txt")
    answer = sim.client.get(PATHS.get(name, f"/{name}"))
    assert_same_head(answer, sample)
    if sample.body:
        assert samples.shape(answer.json()) == samples.shape(samples.parsed(sample.body))


def test_model_info_starts_with_the_recorded_keys(sim: Simulator) -> None:
    recorded = samples.shape(samples.parsed(samples.response("model_info.txt").body))
    found = samples.shape(sim.client.get("/model_info").json())
    assert found == recorded[: len(found)]


def test_server_info_has_its_fields_in_the_recorded_order(sim: Simulator) -> None:
    recorded = samples.parsed(samples.response("server_info.trimmed.txt").body)
    found = sim.client.get("/server_info").json()
    assert list(found) == list(recorded)
    assert list(found["internal_states"][0]) == list(recorded["internal_states"][0])
    assert found["version"] == recorded["version"]


def test_every_metric_family_has_the_recorded_help_and_type(sim: Simulator) -> None:
    sim.ask(max_tokens=4)
    recorded = (samples.FOLDER / "metrics.families.txt").read_text("utf-8").splitlines()
    heads = [line for line in sim.client.get("/metrics").text.splitlines() if line.startswith("#")]
    assert len(heads) > 40
    strange = [line for line in heads if line not in recorded and "num_aborted_requests_total" not in line]
    assert strange == [], "only the abort counter was not in the recording: nothing had been aborted"


def test_flush_cache_says_the_recorded_sentence(sim: Simulator) -> None:
    sample = samples.response("flush_cache.response.txt")
    answer = sim.client.post("/flush_cache")
    assert_same_head(answer, sample)
    assert answer.text == sample.body


def test_aborting_an_unknown_id_is_an_empty_200(sim: Simulator) -> None:
    sample = samples.response("abort_unknown.response.txt")
    assert_same_head(post(sim, "/abort_request", samples.request("abort_unknown")), sample)


def test_a_full_queue_answers_as_recorded_plain_and_streamed(sim: Simulator) -> None:
    sim.configure(slots=1, max_queued=1, ttft=600)
    waiting = [Background(lambda: sim.ask(rid="r1"))]
    sim.wait(running=1)
    waiting.append(Background(lambda: sim.ask(rid="r2")))
    sim.wait(queued=1)
    for name, stream in (("err_queue_full_4", False), ("err_queue_full_5", True)):
        sample = samples.response(f"{name}.response.txt")
        answer = sim.ask(stream=stream)
        assert_same_head(answer, sample)
        assert answer.text == sample.body
    sim.client.post("/abort_request", json={"rid": "", "abort_all": True})
    assert [call.result().status_code for call in waiting] == [200, 200]


def test_an_aborted_plain_request_is_a_200_with_finish_reason_abort(sim: Simulator) -> None:
    sample = samples.response("queue_1.response.txt")
    sim.configure(tps=1)
    call = Background(lambda: sim.ask(rid="r1"))
    sim.wait(running=1)
    assert_same_head(sim.client.post("/abort_request", json={"rid": "r"}), samples.response("abort_request.txt"))
    answer = call.result()
    assert_same_head(answer, sample)
    assert samples.shape(answer.json()) == samples.shape(samples.parsed(sample.body))
    assert answer.json()["choices"][0]["finish_reason"] == "abort"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"top_p": 0}, "top_p must be in (0, 1], got 0.0."),
        ({"min_p": 2}, "min_p must be in [0, 1], got 2.0."),
        ({"top_k": 0}, "top_k must be -1 (disable) or at least 1, got 0."),
        ({"presence_penalty": 3}, "presence_penalty must be in [-2, 2], got 3.0."),
        ({"repetition_penalty": 0}, "repetition_penalty must be in (0, 2] (1.0 = no penalty), got 0.0."),
        ({"max_tokens": -1}, "max_new_tokens must be at least 0, got -1."),
        ({"regex": "a", "ebnf": "b"}, "Only one of json_schema, regex, ebnf, or structural_tag can be set."),
    ],
)
def test_a_sampling_parameter_out_of_range_is_a_400_in_the_engines_words(
    sim: Simulator, fields: dict[str, object], said: str
) -> None:
    answer = sim.ask(**fields)
    assert (answer.status_code, answer.json()["type"], answer.json()["message"]) == (400, "BadRequestError", said)


def test_a_field_of_the_wrong_type_is_a_flat_400_and_never_a_422(sim: Simulator) -> None:
    answer = sim.ask(temperature="warm")
    assert (answer.status_code, answer.json()["type"]) == (400, "Bad Request")
    assert answer.json()["message"].startswith("1 validation error:\n  {'type': 'float_parsing', 'loc': ('body', ")


def test_text_that_is_not_valid_unicode_does_no_harm(sim: Simulator) -> None:
    body = b'{"model":"smol","messages":[{"role":"user","content":"\\ud800 hi"}],"max_tokens":4,"rid":"\\udfff"}'
    assert post(sim, CHAT, body).status_code == 200
    assert post(sim, CHAT, b'{"model": "\xff"}').status_code == 400


def test_an_unknown_model_of_the_models_route_is_a_nested_404(sim: Simulator) -> None:
    answer = sim.client.get("/v1/models/other")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": "The model 'other' does not exist",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
    }


def test_a_missing_key_is_refused_as_recorded(sim: Simulator) -> None:
    sample = samples.response("err_noauth.txt")
    sim.configure(api_key="s3cret")
    answer = sim.ask()
    assert_same_head(answer, sample)
    assert answer.text == sample.body
    assert sim.client.post(CHAT, json={}, headers={"authorization": "Bearer s3cret"}).status_code == 400
    assert [sim.client.get(path).status_code for path in ("/health", "/ready", "/metrics")] == [200, 200, 200]
