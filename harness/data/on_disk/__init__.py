"""Data sets on a disk: locating, pairing, checking."""
