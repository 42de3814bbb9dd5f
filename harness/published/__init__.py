"""Published numbers, their sources and their audit."""
