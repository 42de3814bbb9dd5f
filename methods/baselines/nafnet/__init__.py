"""NAFNet, a U-Net without nonlinear activations, through spandrel's class."""
