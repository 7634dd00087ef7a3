"""What the kit costs, beside its peers: `make bench`, or `python -m tests.benchmarks [NAME...]`.

Each module has a TITLE, a SENTENCE that says what is measured and how, and `rows()`.
"""
