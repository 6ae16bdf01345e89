"""Judges the fields of an Airflow connection of type ``datafold``. Nothing here does I/O."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from airflow_provider_datafold.connection.form import (
    DEFAULT_HOST,
    DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT,
    EXTRA_FIELDS,
    LONGEST_TIMEOUT,
    MOST_RETRIES,
    SHORTEST_TIMEOUT,
)
from airflow_provider_datafold.exceptions import DatafoldConfigurationError
from airflow_provider_datafold.redaction.secret import Secret

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

CURRENT_HOSTS = frozenset({"us.datafold.com", "eub.datafold.com"})
"""Hosts of the app without BI lineage, CI and Explore."""

_CONN_TYPES = ("datafold", "generic", "http", "https", "", None)
"""Types that say nothing of another system."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_BRACKETS = re.compile(r"\[[^\[\]]+\](:[0-9]+)?")
_URL = re.compile(r"[!-\[\]-~]+")
_PREFIX = re.compile(r"(/[\w.~-]+)*/?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_HOST_WANTED = "must be a host, e.g. 'eu.datafold.com', or a URL, e.g. 'https://eu.datafold.com'"


@dataclass(frozen=True)
class Settings:
    """What an Airflow connection of type ``datafold`` and the environment say.

    :param conn_id: id of the Airflow connection.
    :param base_url: scheme and host, perhaps port and path prefix, without a trailing slash.
    :param api_key: Datafold's API key.
    :param timeout: seconds that one request may take, from looking up the host to the last byte
        of the response.
    :param max_retries: how often a call is tried again after a temporary error.
    :param call_timeout: seconds after which a call is not tried again; ``None`` for no limit.
    :param verify: ``False`` for no check of the TLS certificate, a path for a CA bundle, ``True``
        for the CAs that the client knows.
    :param warnings: what is odd about the connection.
    """

    conn_id: str
    base_url: str
    api_key: Secret
    timeout: float = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_MAX_RETRIES
    call_timeout: float | None = None
    verify: bool | str = True
    warnings: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where calls go, for a message."""
        return f"{self.base_url} (Airflow connection {self.conn_id!r})"

    @property
    def is_current_app(self) -> bool:
        """Whether the host is one of Datafold's that have no BI lineage, CI and Explore."""
        return urlsplit(self.base_url).hostname in CURRENT_HOSTS


def judge(connection: Connection, environ: Mapping[str, str]) -> Settings:
    """Check a connection of type ``datafold``."""
    conn_id = str(connection.conn_id)
    if connection.conn_type not in _CONN_TYPES:
        # Else the password of another system would go to Datafold.
        reject(conn_id, "conn_type", f"is {connection.conn_type!r}; it must be 'datafold'")
    extra = Extra(connection)
    base_url = judge_url(connection, allow_http=extra.flag("allow_http", default=False))
    verify: bool | str = extra.flag("verify_ssl", default=True)
    warnings = extra.warnings()
    if verify:
        # As requests, which does so only for a session that also lets a .netrc replace the key.
        found = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        verify = extra.text("ca_bundle") or found or True
    else:
        warnings.append(
            f"verify_ssl of connection {conn_id!r} is off: anyone on the network path can read the "
            f"API key."
        )
    return Settings(
        conn_id=conn_id,
        base_url=base_url,
        api_key=_api_key(connection),
        timeout=extra.seconds("timeout") or DEFAULT_TIMEOUT,
        max_retries=extra.count("max_retries", default=DEFAULT_MAX_RETRIES, most=MOST_RETRIES),
        call_timeout=extra.seconds("call_timeout"),
        verify=verify,
        warnings=tuple(warnings),
    )


def _api_key(connection: Connection) -> Secret:
    # Secrets that come out of files end in a line break more often than not.
    api_key = Secret((connection.password or "").strip())
    if problem := _key_problem(api_key):
        reject(connection.conn_id, "password", problem)
    return api_key


def _key_problem(api_key: Secret) -> str | None:
    key = api_key.reveal()
    if not key:
        return "is empty; it must be the API key"
    if not (key.isascii() and key.isprintable()):
        return "has characters that no API key has; copy it again"
    if key.lower().startswith("key ") or key[0] in "'\"":
        return "must be the API key alone, without 'Key' or quotes"
    return None


def judge_url(connection: Connection, *, allow_http: bool) -> str:
    """Make a base URL of host, port and schema of a connection."""
    conn_id = connection.conn_id
    host = (connection.host or "").strip() or DEFAULT_HOST
    schema = (connection.schema or "").strip().lower()
    scheme, has_scheme, rest = host.partition("://")
    if not has_scheme:
        scheme, rest = schema or "https", host
    scheme = scheme.lower()
    # Never shown: a URI with a character that is not escaped puts a part of the key here.
    if schema not in ("", "http", "https"):
        reject(
            conn_id,
            "schema",
            "must be http or https, or empty. In a connection's URI, write %2F for '/' in the "
            "password",
        )
    if scheme not in ("http", "https"):
        reject(conn_id, "host", "must begin with https:// or http://, or have no scheme")
    if schema not in ("", scheme):
        reject(conn_id, "schema", f"is {schema}, but the host begins with {scheme}")

    location, port = _location(connection, scheme, rest)
    hostname = location.hostname or ""
    if scheme == "http" and not (allow_http or is_loopback(hostname)):
        reject(
            conn_id,
            "host",
            "is plain http, so anyone on the network path can read the API key. Use https, or "
            "set the extra field 'allow_http' to true if the network is safe",
        )
    authority = f"[{hostname}]" if ":" in hostname else hostname
    # Links and errors name the host as people do, though Airflow's Test may need a port.
    if port not in (None, _DEFAULT_PORTS[scheme]):
        authority += f":{port}"
    return f"{scheme}://{authority}{location.path.rstrip('/')}"


def _location(connection: Connection, scheme: str, rest: str) -> tuple[SplitResult, int | None]:
    """Split what stands behind the scheme, and settle which port counts."""
    conn_id = connection.conn_id
    if rest.count(":") > 1 and "[" not in rest and "/" not in rest:  # a bare IPv6 address
        rest = f"[{rest}]"
    location, port = None, None
    with suppress(ValueError):
        split = urlsplit(f"{scheme}://{rest}")
        port = split.port
        location = split
    if location is None or not _is_address(location, rest):
        if location is not None and "@" in location.netloc:
            reject(conn_id, "host", "holds a user or password; put the key in 'password'")
        reject(conn_id, "host", _HOST_WANTED)
    if connection.port and port not in (None, connection.port):
        reject(conn_id, "port", f"says {connection.port}, but the host says {port}")
    port = port if port is not None else connection.port or None
    if port is not None and not 0 < port < 65536:
        reject(conn_id, "port", "must be from 1 to 65535")
    return location, port


def _is_address(location: SplitResult, rest: str) -> bool:
    """Return whether a URL names a host and nothing that clients would interpret differently."""
    netloc = location.netloc
    labels = (location.hostname or "").rstrip(".").split(".")
    return (
        # DNS holds no label that is empty or longer, and no wildcard names a host.
        all(0 < len(label) < 64 and "*" not in label for label in labels)
        and bool(_URL.fullmatch(rest))
        and not (location.query or location.fragment or set("@%") & set(netloc))
        and not netloc.endswith(":")
        and (_BRACKETS.fullmatch(netloc) or not set("[]") & set(netloc))
        # Others each client would write in its own way.
        and bool(_PREFIX.fullmatch(location.path))
        and not {".", ".."} & set(location.path.split("/"))
    )


class Extra:
    """The extra fields of a connection, each checked as it is read.

    :param connection: an Airflow connection of any type.
    :raises DatafoldConfigurationError: the extra is not a JSON object.
    """

    def __init__(self, connection: Connection) -> None:
        self._conn_id = str(connection.conn_id)
        fields = None
        with suppress(ValueError, RecursionError):
            fields = Secret(json.loads(connection.extra or "{}"))
        if fields is None or not isinstance(fields.reveal(), dict):
            reject(self._conn_id, "extra", "must be a JSON object, and not nested deeply")
        self._fields = fields

    def _value(self, name: str) -> Any:
        value = self._fields.reveal().get(name)
        if isinstance(value, str):
            value = value.strip()
        return None if value == "" else value

    def text(self, name: str) -> str | None:
        """Read a string, ``None`` where there is none."""
        value = self._value(name)
        if value is not None and not isinstance(value, str):
            reject(self._conn_id, name, "must be a string")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Read a boolean, or a string that stands for one."""
        value = self._value(name)
        if value is None:
            return default
        flag = {"true": True, "false": False}.get(str(value).lower())
        if flag is None:
            reject(self._conn_id, name, "must be true or false")
        return flag

    def seconds(self, name: str) -> float | None:
        """Read a duration, a number or a string; ``None`` if it is missing."""
        value = self._value(name)
        if value is None:
            return None
        number = math.nan
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with suppress(OverflowError):
                number = float(value)
        elif isinstance(value, str) and _NUMBER.fullmatch(value):
            number = float(value)
        if not SHORTEST_TIMEOUT <= number <= LONGEST_TIMEOUT:
            reject(
                self._conn_id,
                name,
                f"must be a number of seconds from {SHORTEST_TIMEOUT:g} to {LONGEST_TIMEOUT:g}",
            )
        return number

    def count(self, name: str, *, default: int, most: int) -> int:
        """Read a whole number, or a string of digits."""
        value = self._value(name)
        if value is None:
            return default
        # Not of a huge integer, whose text Python refuses to make.
        text = str(value) if isinstance(value, (str, float)) or value in range(most + 1) else ""
        count = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
        if not 0 <= count <= most:
            reject(self._conn_id, name, f"must be a whole number from 0 to {most}")
        return count

    def warnings(self) -> list[str]:
        """Name the fields that nobody reads: a misspelt one would go unnoticed."""
        found = []
        for name in self._fields.reveal():
            if name not in EXTRA_FIELDS:
                nearest = get_close_matches(name, EXTRA_FIELDS)
                hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
                found.append(
                    f"The extra of connection {self._conn_id!r} has a field that is not read: "
                    f"{name[:100]!r}{hint}"
                )
        return found


def is_loopback(host: str) -> bool:
    """Say whether a host name or address is this machine itself."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def reject(conn_id: str | None, name: str, problem: str) -> NoReturn:
    """Refuse a connection."""
    raise DatafoldConfigurationError(
        f"Airflow connection {conn_id!r}: field {name!r} {problem}. Nothing was sent."
    )
