"""Events under fire: writers, relay, consumer and servers are killed, and every effect must still be there once.

python -m tests.strangler.events.fire [--sample] [--way broker|embedded]
"""
