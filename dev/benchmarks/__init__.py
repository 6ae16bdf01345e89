"""What the provider costs, beside its alternatives: ``python -m dev.benchmarks``.

One run on one machine measures this provider, a bare ``requests.put``, Airflow's ``HttpOperator``
and what Airflow costs anyway, in turn.
"""
