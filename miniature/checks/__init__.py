"""Measures and sheets of what was trained."""
