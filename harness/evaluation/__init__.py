"""Protocols, metrics, scoring of methods, and probes of their prompts."""
