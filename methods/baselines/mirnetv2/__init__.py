"""MIRNetV2, a network of parallel scales, through the class of spandrel_extra_arches."""
