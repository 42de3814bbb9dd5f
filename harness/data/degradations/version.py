"""The version of the generators of synthetic data, apart so that a plan need not import them."""

GENERATOR_VERSION = 1
"""Raised whenever the same key gives other pixels; it is part of every hash."""
