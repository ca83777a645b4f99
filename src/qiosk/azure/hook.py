"""The import hook: makes Python import ``azure.quantum`` and its modules from Qiosk.

It works whether Microsoft's package is installed or not, changes no files, and does not affect other packages below
``azure``. If ``azure`` itself or ``azure.identity`` is not installed, the hook provides a substitute: programs import
the latter only for credentials, and Qiosk needs none.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, final

from qiosk.azure.names import ALIASES, MODULES

_ROOT = "azure.quantum"
_CREDENTIALS = ("azure.identity", "azure.identity.aio")


class AnyCredential:
    """Substitute for every credential class of ``azure.identity`` if that is not installed."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        # Arguments are not kept: they are secrets.
        del args, kwargs

    def __repr__(self) -> str:
        return "<AnyCredential>"


@final
class _Names(Loader):
    """Makes a module with names of Qiosk; each is looked up when it is used."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A plain module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its names."""
        names = MODULES[module.__name__]

        def get(name: str) -> Any:
            wanted = name if name in names else ALIASES.get(name, name)
            if wanted in names:
                return getattr(importlib.import_module(names[wanted]), wanted)
            if f"{module.__name__}.{name}" in MODULES:
                return importlib.import_module(f"{module.__name__}.{name}")
            raise AttributeError(
                f"module {module.__name__!r} of Qiosk has no attribute {name!r}: it runs optimization jobs only"
            )

        vars(module)["__getattr__"] = get
        vars(module)["__all__"] = [name for name in names if not name.startswith("_")]
        vars(module)["__dir__"] = lambda: sorted(names)


@final
class _Credentials(Loader):
    """Makes a module in which every class is :class:`AnyCredential`."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A plain module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Make every class name a credential."""

        def get(name: str) -> Any:
            if not name[:1].isupper():
                raise AttributeError(f"module {module.__name__!r} is a substitute, it has no attribute {name!r}")
            return AnyCredential

        vars(module)["__getattr__"] = get


@final
class _Finder(MetaPathFinder):
    """First in the list of finders, so that modules of Qiosk replace installed ones."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of Qiosk; None for any other."""
        if fullname not in MODULES:
            return None
        return ModuleSpec(fullname, _Names(), is_package=True)


@final
class _Fallback(MetaPathFinder):
    """Last in the list of finders, for modules that are not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of an empty ``azure``, or of a substitute for credentials; None for any other."""
        if fullname == "azure":
            return ModuleSpec(fullname, None, is_package=True)
        if fullname in _CREDENTIALS:
            return ModuleSpec(fullname, _Credentials(), is_package=True)
        return None


def install() -> None:
    """Make ``import azure.quantum`` import from Qiosk. A second call does nothing.

    Raises ImportError if Microsoft's package was imported before.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    if _ROOT in sys.modules:
        raise ImportError("azure.quantum was imported before qiosk.azure: import qiosk.azure first")
    sys.meta_path.insert(0, _Finder())
    sys.meta_path.append(_Fallback())
