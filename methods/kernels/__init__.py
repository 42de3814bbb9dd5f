"""Compiled kernels, built on first use where a compiler is found, and their plain fallbacks."""
