"""Faults injected into a real cluster, and the scoreboard that says which of them were diagnosed rightly."""
