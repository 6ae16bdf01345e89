"""Half an hour of gates, monitor runs and schedule changes: nothing may grow, or be lost.

Run it with ``make soak``.
"""
