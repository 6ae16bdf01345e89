"""Imports a module a second time, among other modules than those that are installed."""

from __future__ import annotations

import logging
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import pytest


def anew(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a module as if for the first time; whoever imported it before keeps the first one.

    :param name: of the module.
    :param monkeypatch: puts back, after the test, what the module does to loggers.
    :return: the module, which nobody else finds.
    """
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "filters", [*logger.filters])
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
