"""A service with bad days: every fault of the network and of the API that the provider has to bear.

:mod:`faults.server` misbehaves on real sockets of 127.0.0.1, :mod:`faults.acts` are the ways in
which it does, and :mod:`faults.table` says for each fault what has to come of a task that meets
it. ``python -m dev.faults`` measures them all, with the provider's operator and with Airflow's own
``HttpOperator``, and writes ``docs/reliability.md``; ``--check`` only compares.
"""
