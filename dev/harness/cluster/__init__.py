"""A cluster with Celery, of which parts are killed while tasks wait for jobs."""
