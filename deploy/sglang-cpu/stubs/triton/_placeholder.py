"""Modules and names made on demand under `triton`."""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterator, Sequence

# PyTorch gives triton.language.dtype to isinstance(), in a tuple made of a set: whether it is looked at, and fails,
# would differ from run to run.
_SMALL_TYPES = {"dtype"}


def _unchanged(fn: object) -> object:
    return fn


class Placeholder(types.ModuleType):
    """Stands for a module, a function or a value: all are reached by dots, and which one is meant is unknown.

    As a decorator it hands the function back; as an annotation, a default or a base for more dots it is
    inert.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, f"Placeholder for {name}; see the package's docstring.")
        self.__path__: list[str] = []
        self.__spec__ = importlib.machinery.ModuleSpec(name, _FINDER, is_package=True)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return _child(self.__name__, name)

    def __call__(self, *args: object, **_options: object) -> object:
        is_bare_decorator = len(args) == 1 and callable(args[0])
        return args[0] if is_bare_decorator else _unchanged

    def __getitem__(self, _key: object) -> "Placeholder":
        return self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    # False, so that "is a GPU driver active?" and the like answer no.
    def __bool__(self) -> bool:
        return False


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets `import triton.any.thing` succeed."""

    root = ""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not self.root or not fullname.startswith(f"{self.root}."):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return sys.modules.get(spec.name) or Placeholder(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Does nothing: a placeholder has no code."""


_FINDER = _Finder()


def _child(parent: str, name: str) -> object:
    fullname = f"{parent}.{name}"
    if fullname in sys.modules:
        return sys.modules[fullname]
    if name[:1].isupper() or name in _SMALL_TYPES:
        # Types are subclassed and used in isinstance(): only a real, empty class can stand in for one.
        return _keep(parent, name, type(name, (), {"__module__": parent}))
    sys.modules[fullname] = Placeholder(fullname)
    return _keep(parent, name, sys.modules[fullname])


def _keep(parent: str, name: str, value: object) -> object:
    setattr(sys.modules[parent], name, value)
    return value


def install(root: str) -> Callable[[str], object]:
    """Starts answering imports below a package.

    Args:
        root: The package's name.

    Returns:
        The package's own `__getattr__`.
    """
    _FINDER.root = root
    # Last, not first: the real files of the package (this one) are found by the normal finders.
    sys.meta_path.append(_FINDER)

    def __getattr__(name: str) -> object:  # noqa: N807  (this is the module hook itself)
        if name.startswith("__"):
            raise AttributeError(f"module {root!r} has no attribute {name!r}")
        return _child(root, name)

    return __getattr__
