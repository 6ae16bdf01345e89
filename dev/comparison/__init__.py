"""Compares two tables or queries, in a process of its own, for the sandbox's data diffs.

Each side is read from its database and compared in Python, so a comparison across databases is
nothing special. It takes a few seconds and about 1 GB for a million rows. A PostgreSQL superuser's
query can still read files of the server. This package knows nothing of Datafold's API, except how
it answers, and imports nothing of the service: its process is to start quickly.
"""
