"""Read an Airflow connection and say what the hook needs to know of it."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.form import (
    DEFAULT_HOST,
    DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT,
    LONGEST_TIMEOUT,
    MOST_RETRIES,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_datafold.kinds import Kind

_CONN_TYPES = ("datafold", "generic", "http", "https", "", None)
"""Types that say nothing of another system."""

_URL = re.compile(r"[^\s\\\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Settings:
    """What an Airflow connection of type ``datafold`` says.

    :param conn_id: id of the Airflow connection.
    :param base_url: scheme and host, perhaps port and path prefix, without a trailing slash.
    :param api_key: Datafold's API key.
    :param timeout: seconds to wait for a connection, and again for the whole answer.
    :param max_retries: how often the hook itself tries again after a passing fault.
    :param verify: ``False`` for no check of the TLS certificate, a path for a CA bundle of its
        own, ``None`` for what the environment says.
    """

    conn_id: str
    base_url: str
    api_key: str = dataclass_field(repr=False)
    timeout: float = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_MAX_RETRIES
    verify: bool | str | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")


def read_settings(conn_id: str) -> Settings:
    """Read a connection of type ``datafold``.

    :param conn_id: id of the Airflow connection.
    :return: its settings, checked.
    :raises DatafoldConfigurationError: there is no such connection, or a field of it is wrong.
    """
    connection = _read(conn_id, "Datafold")
    if connection.conn_type not in _CONN_TYPES:
        # Else the password of another system would go to Datafold.
        _reject(conn_id, "conn_type", f"is {connection.conn_type!r}; it has to be 'datafold'")
    extra = _Extra(connection)
    return Settings(
        conn_id=conn_id,
        base_url=_base_url(connection, allow_http=extra.flag("allow_http", default=False)),
        api_key=_api_key(connection),
        timeout=extra.number("timeout", default=DEFAULT_TIMEOUT, most=LONGEST_TIMEOUT),
        max_retries=extra.count("max_retries", default=DEFAULT_MAX_RETRIES, most=MOST_RETRIES),
        verify=extra.text("ca_bundle") if extra.flag("verify_ssl", default=True) else False,
    )


def read_config(conn_id: str, kind: Kind, given: Collection[str]) -> dict[str, Any]:
    """Read from a connection what it holds of an integration's configuration.

    :param conn_id: id of an Airflow connection of any type.
    :param kind: the integration's kind, which says where each field of it is.
    :param given: names of the fields that are known already, and are not read.
    :return: values by the API's names of the fields, texts without the white space around them.
    :raises DatafoldConfigurationError: there is no such connection, or it lacks a field that
        the integration has to have.
    """
    wanted = [field for field in kind.fields if field.source and field.name not in given]
    connection = _read(conn_id, f"{kind.title}'s {', '.join(field.name for field in wanted)}")
    config = {}
    for field in wanted:
        source = field.name if field.source == "extra" else str(field.source)
        if value := _value(connection, source):
            config[field.name] = value
        elif field.required:
            _reject(conn_id, source, f"is empty; it has to be {kind.title}'s {field.name}")
    return config


def _value(connection: Connection, source: str) -> str | None:
    if source == "host":
        # What Datafold does with the address is not for us to say.
        is_set = (connection.host or "").strip()
        return _base_url(connection, allow_http=True) if is_set else None
    if source in ("login", "password"):
        return (getattr(connection, source) or "").strip()
    return _Extra(connection).text(source)


def _read(conn_id: str, meaning: str) -> Connection:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise DatafoldConfigurationError(
            f"There is no Airflow connection {conn_id!r} ({meaning}). Nothing was sent. Add it "
            f"under Admin > Connections, with `airflow connections add`, or as the environment "
            f"variable AIRFLOW_CONN_{str(conn_id).upper()}; if that is set, its JSON or URI can't "
            f"be read."
        ) from None


def _api_key(connection: Connection) -> str:
    # Secrets that come out of files end in a line break more often than not.
    api_key = (connection.password or "").strip()
    if not api_key:
        _reject(connection.conn_id, "password", "is empty; it has to be the API key")
    if not (api_key.isascii() and api_key.isprintable()):
        _reject(connection.conn_id, "password", "has characters that no API key has; copy it again")
    if api_key.lower().startswith("key ") or api_key[0] in "'\"":
        _reject(
            connection.conn_id, "password", "has to be the API key alone, without 'Key' or quotes"
        )
    return api_key


def _base_url(connection: Connection, *, allow_http: bool) -> str:
    host = (connection.host or "").strip() or DEFAULT_HOST
    schema = (connection.schema or "").strip().lower()
    scheme, has_scheme, rest = host.partition("://")
    if not has_scheme:
        scheme, rest = schema or "https", host
    scheme = scheme.lower()
    # Never shown: a URI with a character that is not escaped puts a part of the key here.
    if schema not in ("", "http", "https"):
        _reject(
            connection.conn_id,
            "schema",
            "has to be http or https, or empty. In a connection's URI, write %2F for '/' in the "
            "password",
        )
    if scheme not in ("http", "https"):
        _reject(connection.conn_id, "host", "has to begin with https:// (or http://), or with none")
    if schema not in ("", scheme):
        _reject(connection.conn_id, "schema", f"is {schema}, but the host is to be {scheme}")

    location, port = _location(connection, scheme, rest)
    hostname = location.hostname or ""
    if scheme == "http" and not (allow_http or is_loopback(hostname)):
        _reject(
            connection.conn_id,
            "host",
            "is plain http, over which everyone on the way can read the API key. Use https, or "
            "set the extra field 'allow_http' to true if the network is safe",
        )
    authority = f"[{hostname}]" if ":" in hostname else hostname
    if port is not None:
        authority += f":{port}"
    return f"{scheme}://{authority}{location.path.rstrip('/')}"


def _location(connection: Connection, scheme: str, rest: str) -> tuple[SplitResult, int | None]:
    """Split what stands behind the scheme, and settle which port counts."""
    wanted = "has to be a host such as 'eu.datafold.com' or a URL such as 'https://eu.datafold.com'"
    if rest.count(":") > 1 and "[" not in rest:  # a bare IPv6 address
        rest = f"[{rest}]"
    try:
        location = urlsplit(f"{scheme}://{rest}")
        port = location.port
    except ValueError:
        _reject(connection.conn_id, "host", wanted)
    if "@" in location.netloc:
        _reject(connection.conn_id, "host", "holds a user or password; put the key in 'password'")
    if not location.hostname or location.query or location.fragment or not _URL.fullmatch(rest):
        _reject(connection.conn_id, "host", wanted)
    if connection.port and port not in (None, connection.port):
        _reject(connection.conn_id, "port", f"says {connection.port}, but the host says {port}")
    return location, port if port is not None else connection.port


class _Extra:
    """The extra fields of a connection, each checked as it is read."""

    def __init__(self, connection: Connection) -> None:
        self._conn_id = connection.conn_id
        try:
            fields = json.loads(connection.extra or "{}")
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            _reject(self._conn_id, "extra", "has to be a JSON object")
        self._fields: dict[str, Any] = fields

    def _value(self, name: str) -> Any:
        value = self._fields.get(name)
        if isinstance(value, str):
            value = value.strip()
        return None if value == "" else value

    def text(self, name: str) -> str | None:
        value = self._value(name)
        if value is not None and not isinstance(value, str):
            _reject(self._conn_id, name, "has to be a text")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._value(name)
        if value is None:
            return default
        flag = {"true": True, "false": False}.get(str(value).lower())
        if flag is None:
            _reject(self._conn_id, name, "has to be true or false")
        return flag

    def number(self, name: str, *, default: float, most: float) -> float:
        value = self._value(name)
        if value is None:
            return default
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not 0 < number <= most:
            _reject(
                self._conn_id,
                name,
                f"has to be a number above 0 and at most {most:g}",
            )
        return number

    def count(self, name: str, *, default: int, most: int) -> int:
        value = self._value(name)
        if value is None:
            return default
        count = int(value) if re.fullmatch(r"[0-9]{1,9}", str(value)) else -1
        if not 0 <= count <= most:
            _reject(
                self._conn_id,
                name,
                f"has to be a whole number from 0 to {most}",
            )
        return count


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine itself.

    :param host: a host name or an address without brackets.
    :return: ``True`` for ``localhost`` and loopback addresses.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reject(conn_id: str | None, name: str, problem: str) -> NoReturn:
    raise DatafoldConfigurationError(
        f"Airflow connection {conn_id!r}: field {name!r} {problem}. Nothing was sent."
    )
