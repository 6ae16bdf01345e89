"""The provider on a whole Airflow: ``make test-kill``, ``make test-cluster`` and ``make soak``."""
