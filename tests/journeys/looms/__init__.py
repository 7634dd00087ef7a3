"""A small shop of rugs, run as two homes: what a switch of writes is tried on, far from any marketplace.

Both homes run this same code on a database each; strangler.toml beside it declares `rugs.write`.
"""
