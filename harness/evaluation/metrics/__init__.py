"""Metrics under their full names."""
