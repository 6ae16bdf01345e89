"""The provider on a whole Airflow: ``make test-kill`` and ``make test-cluster``."""
