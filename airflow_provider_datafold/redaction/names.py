"""Names of the fields that hold secrets. Written by ``dev.scripts.contract``."""

from __future__ import annotations

WRITE_ONLY = frozenset(
    {
        "aws_secret_access_key",
        "azure_client_secret",
        "client_secret",
        "customcert",
        "ewallet_password",
        "ewallet_pem_file",
        "ewallet_pkcs12_file",
        "http_password",
        "jsonKeyFile",
        "jsonOAuthKeyFile",
        "keyPairFile",
        "m2m_client_secret",
        "oauth_dwh_client_secret",
        "password",
        "rootcert",
        "secret",
        "ssl_certificate",
        "token",
        "token_value",
    }
)
"""Fields that the contract calls write-only, of all request bodies."""
