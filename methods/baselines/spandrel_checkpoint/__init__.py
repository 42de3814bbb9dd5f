"""A checkpoint of any single-image architecture that spandrel knows, as a method."""
