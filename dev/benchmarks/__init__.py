"""What the provider costs, beside its alternatives: ``python -m dev.benchmarks``.

Everything is measured in one run, in turn, on one machine: this provider, a bare
``requests.put``, Airflow's ``HttpOperator``, and what Airflow costs anyway.
"""
