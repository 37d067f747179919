"""The arithmetic of GPU memory."""

import json
from pathlib import Path

import pytest

from app.doctor.engine import version_check
from app.doctor.sizes import ModelSize, conversations, flag, length_check, memory_check, size_of, with_flags

GB = 1e9
GIB = 1024**3


def size(source: str) -> ModelSize:
    found = size_of(source)
    assert found is not None
    return found


def test_qwen3_32b_is_as_large_as_its_card_says() -> None:
    found = size("Qwen/Qwen3-32B")
    assert found.kv_token == 256 * 1024
    assert 65 * GB < found.weights < 66 * GB
    assert 32 * GB < size("Qwen/Qwen3-32B-FP8").weights < 34 * GB


def test_an_80_gb_gpu_holds_one_long_conversation_in_bf16_and_five_in_fp8() -> None:
    assert int(conversations(size("Qwen/Qwen3-32B"), 80 * GIB, 1, 32768)) == 1
    assert int(conversations(size("Qwen/Qwen3-32B-FP8"), 80 * GIB, 1, 32768)) == 5


def test_two_gpus_share_weights_and_cache() -> None:
    found = size("Qwen/Qwen3-32B")
    expected = (0.9 * 80 * GIB - found.weights / 2) / (128 * 1024 * 32768)
    assert conversations(found, 80 * GIB, 2, 32768) == pytest.approx(expected)


def test_a_kv_head_is_never_split() -> None:
    found = ModelSize(weights=0, layers=10, kv_heads=2, head_dim=64, context=4096)
    assert conversations(found, 1 * GIB, 8, 4096) == pytest.approx(conversations(found, 1 * GIB, 2, 4096))


@pytest.mark.parametrize("source", ["Qwen/Qwen3-14B", "Qwen/Qwen3-8B", "Qwen/Qwen3-4B", "Qwen/Qwen2.5-7B-Instruct"])
def test_the_usual_models_fit_one_80_gb_gpu(source: str) -> None:
    assert memory_check(source, size(source), 80 * GIB, 1, 32768).level == "ok"


def test_unknown_models_have_no_size() -> None:
    assert size_of("somebody/something") is None


def test_an_fp8_cache_and_fp8_weights_halve_the_need() -> None:
    found = size("Qwen/Qwen3-32B")
    smaller = with_flags(found, ["--kv-cache-dtype=fp8_e4m3", "--quantization", "fp8"])
    assert (smaller.kv_token, smaller.weights) == (found.kv_token / 2, found.weights / 2)


def test_of_two_equal_flags_the_last_counts() -> None:
    assert flag(["--a", "1", "--a=2"], "--a") == "2"
    assert flag(["--a"], "--a") is None


def local_model(folder: Path, **config: object) -> ModelSize | None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model-00001-of-00001.safetensors").write_bytes(bytes(1000))
    return size_of(str(folder))


def test_a_local_folder_tells_its_own_size(tmp_path: Path) -> None:
    found = local_model(
        tmp_path,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=2,
        hidden_size=512,
        max_position_embeddings=2048,
    )
    assert found == ModelSize(weights=1000, layers=4, kv_heads=2, head_dim=64, context=2048)


def test_a_local_model_with_stretched_positions_takes_more(tmp_path: Path) -> None:
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    found = local_model(
        tmp_path,
        num_hidden_layers=4,
        num_attention_heads=8,
        head_dim=64,
        max_position_embeddings=40960,
        rope_scaling=scaling,
    )
    assert found is not None
    assert (found.context, found.kv_heads) == (131072, 8)


def test_a_folder_that_is_no_model_has_no_size(tmp_path: Path) -> None:
    assert local_model(tmp_path, name="nothing of use") is None


def test_a_model_that_fits_no_number_of_gpus_is_to_be_replaced() -> None:
    huge = ModelSize(weights=2000 * GB, layers=60, kv_heads=8, head_dim=128, context=32768)
    check = memory_check("a/huge", huge, 80 * GIB, 1, 32768)
    assert (check.level, check.fix) == ("problem", "Set MODEL_NAME to a smaller model.")


def test_a_shorter_context_is_proposed_where_it_helps() -> None:
    found = size("Qwen/Qwen3-14B")
    check = memory_check("Qwen/Qwen3-14B", found, 40 * GIB, 1, 40960)
    assert check.level == "warning"
    assert "MAX_MODEL_LEN=10240" in check.fix


def test_the_context_a_model_was_made_for_is_fine() -> None:
    assert length_check("Qwen/Qwen3-32B", size("Qwen/Qwen3-32B"), 32768).level == "ok"


@pytest.mark.parametrize(
    ("version", "level"),
    [("0.5.23", "ok"), ("0.5.20.post1", "ok"), ("0.6.0rc1", "ok"), ("0.5.9", "warning"), ("", "warning")],
)
def test_versions_older_than_the_one_this_is_made_for_are_a_warning(version: str, level: str) -> None:
    assert version_check(version).level == level
