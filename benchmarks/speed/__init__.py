"""Speed and memory compared with the published code, as ratios measured pair by pair.

python -m benchmarks.speed --out speed.json           every row (about 25 minutes on two cores)
python -m benchmarks.speed --rows train-mini,stream   some of them
python -m benchmarks.speed --profile                  one training step by operator
python -m benchmarks.speed --growth                   how cost grows, with exponents

Needs, in addition to the package itself: pip install spandrel_extra_arches
"""
