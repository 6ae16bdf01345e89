"""Import a module a second time, with replacements for installed modules."""

from __future__ import annotations

import logging
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import pytest


def reimport(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a module as if for the first time; earlier importers keep the first one.

    :param name: of the module.
    :param monkeypatch: puts back, after the test, what the module does to loggers.
    :return: the module, which no other import finds.
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
