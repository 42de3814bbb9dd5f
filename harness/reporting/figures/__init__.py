"""Figures of papers, as PDF and PNG; a kind of figure is one module that the registry names.

A module has ``draw(asked)``, which returns the figure of a
:class:`~harness.reporting.figures.request.FigureRequest`, ``left_out(plan)``, which says what the
figure is without, ``NEEDS_IMAGES``, whether it shows images that methods restored, and
``NEEDS_SCORES``, whether it shows nothing of trainings that are not scored.
:mod:`harness.reporting.figures.style` has sizes, fonts and colours.
"""
