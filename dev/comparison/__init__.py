"""Compares two tables or queries, in a thread, for the sandbox's data diffs.

Both sides are read into one DuckDB in memory and joined there by their keys, so there is only one
dialect of SQL, and a comparison across databases is nothing special. A PostgreSQL superuser's query
can still read files of the server. This package knows nothing of Datafold's API, except how it
answers, and imports nothing of the service.
"""
