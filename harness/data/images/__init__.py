"""Reading, cropping and caching of images."""
