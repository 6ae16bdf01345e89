"""Modules that are imported when they are first used, as attributes of their package."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType


def modules_of(package: str) -> Callable[[str], ModuleType]:
    """Make a package's ``__getattr__`` (PEP 562), which imports the module of that name.

    A DAG file is parsed again and again, and needs the classes of its operators only. So they
    import the packages whose work they do, ``from airflow_provider_datafold import jobs``, and the
    first task that says ``jobs.hook`` loads that module. Python then finds it without asking here.
    """

    def module(name: str) -> ModuleType:
        full_name = f"{package}.{name}"
        try:
            return import_module(full_name)
        except ModuleNotFoundError as error:
            if error.name != full_name:
                raise
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from None

    return module
