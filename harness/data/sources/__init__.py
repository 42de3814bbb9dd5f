"""Where images come from: one interface, two sources."""
