"""Compares two tables or queries, in a process of its own, for the sandbox's data diffs.

Each side is copied from its database into DuckDB in memory and compared there, so one dialect of
SQL serves DuckDB, SQLite and PostgreSQL, and a comparison across databases is nothing special.
The queries of a DuckDB file run in that DuckDB, which can then reach no other file. Those of the
others are one query each, in a read-only transaction; a PostgreSQL superuser's can still read files
of the server.
This package knows nothing of Datafold's API and imports nothing of the service: its process is to
start quickly.
"""
