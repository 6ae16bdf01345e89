"""Send requests with the hook, and check the outcome."""

from __future__ import annotations

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
