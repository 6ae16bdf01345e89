"""Send requests with the hook, and check the outcome."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from airflow_provider_datafold.exceptions import DatafoldError
from airflow_provider_datafold.hooks.datafold import DatafoldHook
from tests.conftest import API_KEY, TOKEN

Error = TypeVar("Error", bound=DatafoldError)

BODY = {"token": TOKEN}


def ask(method: str = "PUT", path: str = "/path/", json: Any = BODY, **more: Any) -> Any:
    """Send a request with the hook of the default connection."""
    with DatafoldHook() as hook:
        return hook.run(method, path, json, **more)


def failure(kind: type[Error], call: Callable[[], Any] = ask) -> Error:
    """Make a call that must fail, and check that its error contains no secret."""
    with pytest.raises(DatafoldError) as caught:
        call()
    assert type(caught.value) is kind
    seen = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert [secret for secret in (API_KEY, TOKEN) if secret in seen] == []
    return caught.value


class Announced(BaseException):
    """The hook has announced how long it is going to wait."""


class _Stop(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"Retrying in ([\d.]+) s", record.getMessage()):
            raise Announced(float(found[1]))


def announced(call: Callable[[], Any] = ask) -> float:
    """Return the seconds that the hook says it is going to wait, without the wait.

    It needs the fixture ``log``.
    """
    stop = _Stop()
    logging.getLogger().addHandler(stop)
    try:
        with pytest.raises(Announced) as caught:
            call()
    finally:
        logging.getLogger().removeHandler(stop)
    seconds: float = caught.value.args[0]
    return seconds
