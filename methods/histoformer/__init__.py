"""Histoformer: attention between pixels of similar intensity, for images in adverse weather."""
