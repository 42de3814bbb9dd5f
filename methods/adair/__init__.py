"""AdaIR: all-in-one restoration by mining and modulating frequencies."""
