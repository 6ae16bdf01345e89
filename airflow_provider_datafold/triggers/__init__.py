"""Triggers: what a triggerer does for tasks that are deferred."""
