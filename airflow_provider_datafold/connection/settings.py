"""Judges the fields of an Airflow connection of type ``datafold``. Nothing here does I/O."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from airflow_provider_datafold.api import fields
from airflow_provider_datafold.connection.form import (
    DEFAULT_HOST,
    DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT,
    EXTRA_FIELDS,
)
from airflow_provider_datafold.exceptions import DatafoldConfigurationError, DatafoldInputError
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
_HOST_WANTED = "must be a host, e.g. 'eu.datafold.com', or a URL, e.g. 'https://eu.datafold.com'"

_KINDS: dict[str, tuple[fields.Check, str]] = {
    "number": (fields.number, "must be a number of seconds from {minimum:g} to {maximum:g}"),
    "integer": (fields.integer, "must be a whole number from {minimum} to {maximum}"),
    "string": (fields.text, "must be a string"),
    "boolean": (fields.boolean, "must be true or false"),
}
"""Check and error of an extra field, by its type in the form. No error shows the value: somebody
may have put the key there."""


@dataclass(frozen=True)
class Settings:
    """What an Airflow connection of type ``datafold`` and the environment say."""

    conn_id: str
    base_url: str
    """Scheme and host, perhaps port and path prefix, without a trailing slash."""
    api_key: Secret
    timeout: float = DEFAULT_TIMEOUT
    max_retries: int = DEFAULT_MAX_RETRIES
    call_timeout: float | None = None
    verify: bool | str = True
    """``False`` for no check of the TLS certificate, a path for a CA bundle, ``True`` for the CAs
    that the client knows."""
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
    base_url = judge_url(connection, allow_http=extra.read("allow_http"))
    verify: bool | str = extra.read("verify_ssl")
    warnings = extra.warnings()
    if verify:
        # As requests, which does so only for a session that also lets a .netrc replace the key.
        found = environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE")
        verify = extra.read("ca_bundle") or found or True
    else:
        warnings.append(
            f"verify_ssl of connection {conn_id!r} is off: anyone on the network path can read the "
            f"API key."
        )
    return Settings(
        conn_id=conn_id,
        base_url=base_url,
        api_key=_api_key(connection),
        timeout=extra.read("timeout"),
        max_retries=extra.read("max_retries"),
        call_timeout=extra.read("call_timeout"),
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
    """The extra fields of a connection of any type, each checked as it is read."""

    def __init__(self, connection: Connection) -> None:
        self._conn_id = str(connection.conn_id)
        found = None
        with suppress(ValueError, RecursionError):
            found = Secret(json.loads(connection.extra or "{}"))
        if found is None or not isinstance(found.reveal(), dict):
            reject(self._conn_id, "extra", "must be a JSON object, and not nested deeply")
        self._fields = found

    def read(self, name: str) -> Any:
        """Read a field as the form declares it; one that it does not declare is a string."""
        schema = EXTRA_FIELDS[name]["schema"] if name in EXTRA_FIELDS else {"type": ["string"]}
        value = self._fields.reveal().get(name)
        if isinstance(value, str):
            value = value.strip()
        if value in (None, ""):
            return schema.get("default")
        check, wanted = _KINDS[schema["type"][0]]
        with suppress(DatafoldInputError):
            found = check(name, value)
            if schema.get("minimum", found) <= found <= schema.get("maximum", found):
                return found
        return reject(self._conn_id, name, wanted.format(**schema))

    def warnings(self) -> list[str]:
        """Name the fields that nobody reads: a misspelt one would go unnoticed."""
        found = []
        for name in self._fields.reveal():
            if name not in EXTRA_FIELDS:
                nearest = fields.near(name, EXTRA_FIELDS)
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
