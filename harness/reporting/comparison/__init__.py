"""Methods compared image by image: paired differences, tests, ranks, tables and figures."""
