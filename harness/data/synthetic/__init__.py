"""The embedded photographs, dead leaves, and degradations made here."""
