"""MPRNet, a network of three stages, through the class of spandrel_extra_arches."""
