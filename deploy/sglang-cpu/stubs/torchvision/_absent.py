"""What every name of the torchvision stand-in turns into: something to import, never to call."""

from collections.abc import Callable
from typing import NoReturn


def absent_in(module: str) -> Callable[[str], Callable[..., NoReturn]]:
    """Makes the `__getattr__` of one stand-in module.

    Args:
        module: The module's dotted name, for the error's sentence.

    Returns:
        A function from an attribute's name to a callable that raises.
    """

    def __getattr__(name: str) -> Callable[..., NoReturn]:  # noqa: N807  (this is the module hook itself)
        # Dunder probes (`__path__`, `__wrapped__`, ...) must fail, or import machinery and inspect take us
        # at our word.
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")

        def function(*_args: object, **_kwargs: object) -> NoReturn:
            raise NotImplementedError(f"{module}.{name} is a stand-in: this install serves text models only")

        function.__name__ = function.__qualname__ = name
        return function

    return __getattr__
