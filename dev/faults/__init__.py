"""Cause the faults of the network and of the API that the provider must handle.

:mod:`faults.server` misbehaves on real sockets of 127.0.0.1, and :mod:`faults.behaviours` has the
ways in which it does. :mod:`faults.table` declares for each fault how one update ends, and
:mod:`faults.wait_table` how a task ends that waits for a job, which :mod:`faults.job_service`
simulates. ``tests/dev/test_faults.py`` runs both tables.
"""
