"""Measurements of following: what many meetings cost, and how soon changes are announced."""
