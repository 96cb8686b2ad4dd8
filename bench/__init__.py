"""Measurements, run by `make bench`. They are not part of the tests, because machines are noisy."""
