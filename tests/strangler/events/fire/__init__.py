"""Events under fire: whatever lies between a change and its effect dies, and each effect is there once.

python -m tests.strangler.events.fire [--sample] [--way broker|embedded]
"""
