"""Which certificates are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_datafold.exceptions import (
    DatafoldCertificateError,
    DatafoldConfigurationError,
)
from dev.faults.behaviours import INTEGRATION, answers
from tests.certificates import tls
from tests.drivers import Call, both, call_sync, fails, update

REFUSED = "the TLS certificate was refused"


@both
@pytest.mark.parametrize("is_environments", [False, True])
def test_trusted_certificate(
    is_environments: bool,
    call: Call,
    serve: Any,
    authority: trustme.CA,
    bundle: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle if is_environments else str(other))
    extra = {} if is_environments else {"ca_bundle": bundle}
    serve(answers(), tls=tls(authority), extra=extra)
    assert update(call) == INTEGRATION


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_no_verification_is_for_its_connection_only(
    serve: Any, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    serve(answers(), tls=tls(trustme.CA()), extra={"verify_ssl": False})
    assert update(call_sync) == INTEGRATION
    server = serve(answers(), tls=tls(trustme.CA()))
    assert "'ca_bundle'" in str(fails(call_sync, DatafoldCertificateError, REFUSED))
    assert server.requests == []


@both
@pytest.mark.parametrize("size", [None, 0, 300], ids=["missing", "empty", "half-written"])
def test_bundle_that_is_none(
    call: Call, serve: Any, bundle: str, tmp_path: Path, size: int | None
) -> None:
    file = tmp_path / "ca.pem"
    if size is not None:
        file.write_text(Path(bundle).read_text()[:size])
    server = serve(answers(), tls=tls(trustme.CA()), extra={"ca_bundle": str(file)})
    fails(call, DatafoldConfigurationError, "the CA bundle cannot be read")
    assert server.requests == []


@both
def test_cas_that_were_replaced_are_read_again(
    call: Call, serve: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    file, new = tmp_path / "ca.pem", tmp_path / "new.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    serve(answers(), tls=tls(authority), extra={"ca_bundle": str(file)})
    fails(call, DatafoldCertificateError, REFUSED)
    authority.cert_pem.write_to_path(str(new))
    new.replace(file)
    assert update(call) == INTEGRATION
