"""Frozen schemas, strict YAML, canonical JSON and its hash, keyed randomness, errors."""
