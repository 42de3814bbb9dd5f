"""SIPL: a restoration's own features guide its decoder, and a dictionary stands in for them."""
