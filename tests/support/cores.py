"""Where a real SGLang runs in tests: alone on all cores, or one for each worker on a core of its own."""

import os
from collections.abc import Mapping

SIDE_BY_SIDE = "PYTEST_XDIST_WORKER" in os.environ
CORE = os.environ.get("PYTEST_XDIST_WORKER", "1")[-1]
# Two threads gain it nothing.
ONE_CORE: Mapping[str, str] = {"OMP_NUM_THREADS": "1", "SGLANG_CPU_OMP_THREADS_BIND": CORE}
SHARED: Mapping[str, str] = ONE_CORE if SIDE_BY_SIDE else {}
"""Environment of what may have the machine to itself."""
