"""SQL that lists the tables of a schema, for each type of data source. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Home(Enum):
    """What has an ``INFORMATION_SCHEMA`` of its own."""

    SERVER = 0
    """All that the session sees: the database, if it is named, is a condition."""
    DATABASE = 1
    SCHEMA = 2


class Dialect(NamedTuple):
    """What differs between databases."""

    home: Home
    begin: str = '"'
    """Stands in front of the name of a database or a schema."""
    end: str = '"'
    quote: str = '""'
    """Stands for its end inside of a name."""
    apostrophe: str = "''"
    """Stands for an apostrophe inside of a string."""
    tables: str = "INFORMATION_SCHEMA.TABLES"


_SERVER = Dialect(Home.SERVER)
_DATABASE = Dialect(Home.DATABASE)
_BRACKETS = Dialect(Home.DATABASE, "[", "]", "]]")
DIALECTS = {
    "athena": _DATABASE,
    "azure_synapse": _BRACKETS,
    "bigquery": Dialect(Home.SCHEMA, "`", "`", "\\`", "\\'"),
    "databricks": Dialect(Home.DATABASE, "`", "`", "``", "\\'"),
    "duckdb": _SERVER,
    "mariadb": _SERVER,
    "microsoft_fabric": _BRACKETS,
    "mssql": _BRACKETS,
    "mysql": _SERVER,
    "pg": _SERVER,
    "postgres_aurora": _SERVER,
    "postgres_aws_rds": _SERVER,
    # Also lists external tables.
    "redshift": _SERVER._replace(tables="SVV_TABLES"),
    "snowflake": _DATABASE,
    "starburst": _DATABASE,
    "trino": _DATABASE,
}
"""By the type of a data source. The others have nothing like it."""


def listing(dialect: Dialect, schema: Sequence[str]) -> str:
    """Return SQL for the names of a schema's tables, each with the number of all of them.

    Views are left out. All words are in capital letters: databases that compare names with case
    have them so.
    """
    prefix, rest = schema[:-1], schema[-1:]
    if dialect.home is not Home.DATABASE:
        prefix, rest = (schema, ()) if dialect.home is Home.SCHEMA else ((), schema)
    begin, end = dialect.begin, dialect.end
    place = "".join(f"{begin}{part.replace(end, dialect.quote)}{end}." for part in prefix)
    conditions = [
        f" AND {column} = '{part.replace(chr(39), dialect.apostrophe)}'"
        for column, part in zip(("TABLE_SCHEMA", "TABLE_CATALOG"), reversed(rest), strict=False)
    ]
    # MariaDB lists sequences among its tables.
    source = (
        f"FROM {place}{dialect.tables} "
        f"WHERE TABLE_TYPE NOT LIKE '%VIEW%' AND TABLE_TYPE <> 'SEQUENCE'{''.join(conditions)}"
    )
    return f"SELECT TABLE_NAME, (SELECT COUNT(*) {source}) AS TABLE_COUNT {source}"
