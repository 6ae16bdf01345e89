"""Waits for jobs that run at Datafold, in the same way for operators, sensors and triggers."""
