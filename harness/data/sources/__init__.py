"""What images come from: one interface, two sources."""
