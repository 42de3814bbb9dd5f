"""MoCE-IR: experts of rising complexity, one of which restores each image."""
