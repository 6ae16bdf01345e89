"""Airflow's REST API, as Airflow's UI uses it; :data:`FOR_PEOPLE` allows everything."""

from __future__ import annotations

from typing import Any

import requests

_TIMEOUT = 30.0


class ApiError(Exception):
    """Airflow refused a request.

    :param status: the status of the response.
    :param message: the request, and what came back.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Sends requests to Airflow.

    :param url: Airflow's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._headers: dict[str, str] = {}

    def get(self, path: str, **query: Any) -> Any:
        """Read something.

        :param path: its path behind the version, such as ``"dags"``.
        :param query: the fields of the query.
        """
        return self.send("GET", path, query=query)

    def send(self, method: str, path: str, body: Any = None, query: Any = None) -> Any:
        """Send a request.

        :param method: the HTTP method.
        :param path: the path behind the version.
        :param body: the body.
        :param query: the fields of the query.
        :raises ApiError: it was refused.
        """
        if not self._headers:
            token = requests.get(f"{self._url}/auth/token", timeout=_TIMEOUT).json()["access_token"]
            self._headers = {"Authorization": f"Bearer {token}"}
        response = requests.request(
            method,
            f"{self._url}/api/v2/{path}",
            json=body,
            params=query,
            headers=self._headers,
            timeout=_TIMEOUT,
        )
        if not response.ok:
            message = f"{method} {path}: {response.status_code} {response.text}"
            raise ApiError(response.status_code, message)
        return response.json()
