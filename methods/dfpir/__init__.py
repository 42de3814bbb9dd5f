"""DFPIR: features whose channels are permuted by a text that names the degradation."""
