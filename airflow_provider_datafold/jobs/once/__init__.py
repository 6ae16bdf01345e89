"""Makes a job once, even if a response or a worker is lost."""
