"""The kinds of degradation: one file each, with its parameters, its version and its function.

docs/degradations.md describes them. An image may be a crop of a larger one: nothing assumes that
it shows a whole scene.
"""
