"""Sensors: wait for what something else started."""
