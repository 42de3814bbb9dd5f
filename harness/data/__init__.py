"""Cards, embedded photographs, degradations and the training stream."""
