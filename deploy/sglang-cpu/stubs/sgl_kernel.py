"""Stand-in for `sgl_kernel`, SGLang's compiled kernels.

Why it exists: on the CPU, SGLang 0.5.23 imports nine kernels by name while its modules load, but the only
build of `sgl_kernel` a package index offers needs CUDA. All nine belong to speculative decoding, which a
plain text server on the CPU never runs; attention, norms and sampling fall back to PyTorch.

Must never be used for: computing anything. Every name here raises when called, so a flag that would need a
real kernel (`--speculative-algorithm`, for one) fails loudly instead of answering wrongly. Keep this folder
off the path of any machine that has the real package.
"""

from collections.abc import Callable
from typing import NoReturn


def _missing(name: str) -> Callable[..., NoReturn]:
    def kernel(*_args: object, **_kwargs: object) -> NoReturn:
        raise NotImplementedError(f"sgl_kernel.{name} is a stand-in: a CPU install has no kernels")

    kernel.__name__ = kernel.__qualname__ = name
    return kernel


copy_all_layer_kv_cache_cpu = _missing("copy_all_layer_kv_cache_cpu")
assign_req_to_token_pool_cpu = _missing("assign_req_to_token_pool_cpu")
assign_draft_cache_locs_contiguous_cpu = _missing("assign_draft_cache_locs_contiguous_cpu")
assign_extend_cache_locs_cpu = _missing("assign_extend_cache_locs_cpu")
fill_accept_out_cache_loc_cpu = _missing("fill_accept_out_cache_loc_cpu")
fill_bonus_tokens_cpu = _missing("fill_bonus_tokens_cpu")
build_tree_kernel_efficient_cpu = _missing("build_tree_kernel_efficient_cpu")
build_draft_decode_metadata_cpu = _missing("build_draft_decode_metadata_cpu")
verify_tree_greedy_cpu = _missing("verify_tree_greedy_cpu")
