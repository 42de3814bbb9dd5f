"""DCPT: any restorer first learns to tell degradations apart, then to restore."""
