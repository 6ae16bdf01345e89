"""Cause the faults of the network and of the API that the provider must handle.

:mod:`faults.table` declares for each fault how one update ends, and :mod:`faults.wait_table` how a
task ends that waits for a job. ``tests/dev/test_faults.py`` runs both.
"""
