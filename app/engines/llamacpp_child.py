"""The embedded engine's own process: llama.cpp's HTTP server on a free loopback port.

Started by the supervisor as ``python -m app.engines.llamacpp_child``; prints ``LISTENING host port`` when it serves.
It dies with its parent, even if the parent is killed with SIGKILL.
"""

import argparse
import importlib
import os
import threading
from typing import Any
from urllib.parse import urlsplit

from app.engines.profiles import EMBEDDED
from app.engines.tether import die_with


def main() -> None:
    """Serve until stopped."""
    options = _options()
    die_with(options.parent)
    announcements = _take_stdout()
    server = _serve(options)
    address = urlsplit(str(server.listening_address))
    os.write(announcements, f"LISTENING {address.hostname} {address.port}\n".encode())
    threading.Event().wait()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--context", type=int, required=True, help="tokens per sequence")
    parser.add_argument("--slots", type=int, required=True, help="sequences generated at the same time")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True, help="process id to die with")
    return parser.parse_args()


def _take_stdout() -> int:
    """Keep standard output for announcements; whatever native code prints there goes to standard error."""
    announcements = os.dup(1)
    os.dup2(2, 1)
    return announcements


def _shelf() -> str:
    """Where slots are saved: in memory that ends with this process, under names that are file descriptors."""
    for name in EMBEDDED.copies:
        os.dup2(os.memfd_create("slot"), int(name), inheritable=False)
    return "/proc/self/fd/"


def _serve(options: argparse.Namespace) -> Any:
    # 100 MB of native code without types: loaded in this process only, and after it is bound to its parent.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [os.environ["ENGINE_API_KEY"]]
    params.ui = False
    params.endpoint_slots = True
    params.slot_save_path = _shelf()
    params.endpoint_metrics = True
    params.n_gpu_layers = 0
    params.fit_params = False
    params.n_parallel = options.slots
    params.n_ctx = options.context
    params.kv_unified = True  # slots share one cache: any of them may use the whole context
    # A cancelled prefill ends after two batches: 1 s with 32 and 5 s with 256 (2 cores), and on a slow machine, of 18
    # tokens a second, 3.5 s with 32. A prefill takes the same CPU time within noise: 978 tokens 28, 27, 26 and 26 s
    # with 32, 64, 128 and 256; 330 tokens on the slow machine 37 to 39 s with 32, 35 to 40 s with 16.
    params.n_batch = params.n_ubatch = 16
    params.cache_ram_mib = 1024  # prompts of idle slots are kept, so that a returning interview is not prefilled anew
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.sse_ping_interval = 1  # the write that notices a client who has left during prefill
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
