"""Stand-in for `triton`, the GPU kernel compiler.

Why it exists: SGLang defines some four hundred GPU kernels with `@triton.jit` while its modules load. On the
CPU none is launched, and the real package would add about 1 GB to the install.

Must never be used for: running a kernel. A decorated kernel remembers its function and raises when it is
called or launched, so a path that would need a GPU fails with the kernel's name. Keep this folder off the
path of any machine with a GPU.

Everything but the few names below is made on demand (see `_placeholder`), because the kernels' annotations
and default arguments reach deep into `triton.language`.
"""

from collections.abc import Callable
from typing import NoReturn

from ._placeholder import install

# libdevice and friends look for a release; the newest that this SGLang was seen to run with.
__version__ = "3.9.0"


class Config:
    """One autotuning choice: kept so that modules which list their choices can load."""

    def __init__(self, kwargs: dict[str, object] | None = None, **options: object) -> None:
        self.kwargs = kwargs or {}
        self.options = options


class UnlaunchableKernel:
    """A kernel that can be defined, passed around and inspected, but not run.

    Attributes:
        fn: The Python function under the decorators.
    """

    def __init__(self, fn: Callable[..., object]) -> None:
        self.fn = fn
        self.__name__ = getattr(fn, "__name__", "kernel")
        self.__doc__ = fn.__doc__

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuses to run, with the kernel's name."""
        raise NotImplementedError(f"triton kernel {self.__name__!r} cannot run: a CPU install has no Triton")

    def __getitem__(self, _grid: object) -> "UnlaunchableKernel":
        return self


def _decorator(fn: Callable[..., object]) -> UnlaunchableKernel:
    return fn if isinstance(fn, UnlaunchableKernel) else UnlaunchableKernel(fn)


def jit(fn: Callable[..., object] | None = None, **_options: object) -> object:
    """Marks a kernel, with or without options, as the real decorator does."""
    return _decorator if fn is None else _decorator(fn)


def autotune(*_args: object, **_options: object) -> Callable[..., UnlaunchableKernel]:
    """Accepts a kernel's tuning choices and drops them."""
    return _decorator


def heuristics(*_args: object, **_options: object) -> Callable[..., UnlaunchableKernel]:
    """Accepts a kernel's launch rules and drops them."""
    return _decorator


def cdiv(dividend: int, divisor: int) -> int:
    """Divides and rounds up: host code sizes buffers with it, so it must be right."""
    return -(dividend // -divisor)


def next_power_of_2(number: int) -> int:
    """Rounds up to a power of two: host code sizes buffers with it, so it must be right."""
    return 1 << (number - 1).bit_length() if number > 0 else 1


__getattr__ = install(__name__)
