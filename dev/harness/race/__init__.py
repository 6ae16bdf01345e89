"""Brief waits that defer, in an Airflow with LocalExecutor on a busy machine."""
