"""What the kit costs, beside its peers: `make bench`, or `python -m tests.benchmarks [NAME...]`.

Each module has a `run()` that returns its rows. Its SENTENCE says what is measured and how (its docstring,
where it has none), and its TITLE stands above.
"""
