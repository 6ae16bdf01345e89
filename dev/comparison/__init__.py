"""Compares two tables or queries, in a process of its own, for the sandbox's data diffs.

Each side is copied from its database into DuckDB in memory and compared there, so one dialect of
SQL serves DuckDB, SQLite and PostgreSQL, and a comparison across databases is nothing special.
This package knows nothing of Datafold's API and imports nothing of the service: its process is to
start quickly.
"""
