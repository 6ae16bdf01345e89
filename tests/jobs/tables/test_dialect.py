"""The SQL that lists a schema's tables, for each type of data source."""

from __future__ import annotations

import pytest

from airflow_provider_datafold.jobs.tables.dialect import DIALECTS, listing
from dev.sandbox import contract

NO_SCHEMA = {
    *("aws_s3", "db2", "dremio", "files_azure_datalake", "google_cloud_storage", "mongodb"),
    *("netezza", "oracle", "sap_hana", "teradata", "vertica"),
}


def place(kind: str, *schema: str) -> str:
    """Return what is special in the SQL."""
    sql = listing(DIALECTS[kind], schema)
    begin, _, end = sql.rpartition("FROM ")
    source = f"FROM {end}"
    assert begin == f"SELECT TABLE_NAME, (SELECT COUNT(*) {source}) AS TABLE_COUNT "
    return end.replace(" WHERE TABLE_TYPE NOT LIKE '%VIEW%' AND TABLE_TYPE <> 'SEQUENCE'", "")


TABLES = "INFORMATION_SCHEMA.TABLES"
SCHEMA = f"{TABLES} AND TABLE_SCHEMA = "


@pytest.mark.parametrize(
    ("kinds", "alone", "in_database"),
    [
        (
            "duckdb mariadb mysql pg postgres_aurora postgres_aws_rds",
            f"{SCHEMA}'o''hara'",
            f"{SCHEMA}'o''hara' AND TABLE_CATALOG = 'D''B'",
        ),
        (
            "redshift",
            "SVV_TABLES AND TABLE_SCHEMA = 'o''hara'",
            "SVV_TABLES AND TABLE_SCHEMA = 'o''hara' AND TABLE_CATALOG = 'D''B'",
        ),
        (
            "athena snowflake starburst trino",
            f"{SCHEMA}'o''hara'",
            f"\"D'B\".{SCHEMA}'o''hara'",
        ),
        (
            "azure_synapse microsoft_fabric mssql",
            f"{SCHEMA}'o''hara'",
            f"[D'B].{SCHEMA}'o''hara'",
        ),
        ("databricks", f"{SCHEMA}'o\\'hara'", f"`D'B`.{SCHEMA}'o\\'hara'"),
        ("bigquery", f"`o'hara`.{TABLES}", f"`D'B`.`o'hara`.{TABLES}"),
    ],
)
def test_where_the_tables_are(kinds: str, alone: str, in_database: str) -> None:
    for kind in kinds.split():
        assert place(kind, "o'hara") == alone
        assert place(kind, "D'B", "o'hara") == in_database


@pytest.mark.parametrize(
    ("kind", "name", "quoted"),
    [
        ("snowflake", 'a"b', '"a""b"'),
        ("mssql", 'a"]b', '[a"]]b]'),
        ("databricks", 'a"`b', '`a"``b`'),
        ("bigquery", "a`b", "`a\\`b`"),
    ],
)
def test_a_quote_in_a_database_name_stays_in_it(kind: str, name: str, quoted: str) -> None:
    assert place(kind, name, "s").startswith(f"{quoted}.")


def test_each_type_of_the_contract_has_sql_or_needs_a_query() -> None:
    form = contract.load()["components"]["schemas"]["ApiDataSourceForm"]
    assert DIALECTS.keys() | NO_SCHEMA == form["discriminator"]["mapping"].keys()
    assert not DIALECTS.keys() & NO_SCHEMA
