"""Processes are killed, and people stop and clear tasks, while these wait for jobs."""
