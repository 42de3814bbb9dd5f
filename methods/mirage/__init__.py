"""MIRAGE: attention, gated convolution and an MLP share the channels of each block."""
