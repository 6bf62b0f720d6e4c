"""Histories that failed once, and are run before the random ones: the lines that
histories.py prints."""

HISTORIES = [
]
