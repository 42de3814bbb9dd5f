"""``harness demo``: a local web page to try methods on images of one's own."""
