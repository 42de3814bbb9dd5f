"""DRSformer: deraining by sparse attention and a mixture of convolutions."""
