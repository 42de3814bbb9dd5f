"""AirNet: a contrastive encoder of the degradation guides deformable convolutions."""
