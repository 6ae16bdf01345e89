"""Monitors as code, from files to requests."""
