"""Cause every fault of the network and of the API that the provider must handle, and measure it.

:mod:`faults.server` misbehaves on real sockets of 127.0.0.1, :mod:`faults.behaviours` has the ways
in which it does, and :mod:`faults.table` declares for each fault how a task must end. For a task
that waits, :mod:`faults.job_service` simulates the job, and :mod:`faults.wait_table` is the table.
``python -m dev.faults`` measures all of them, in a worker and in an event loop, and with Airflow's
own ``HttpOperator``, and writes ``docs/reliability.md``. ``--check`` only compares, and ``--ours``
leaves ``HttpOperator`` out.
"""
