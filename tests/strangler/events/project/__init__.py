"""A weaver's shop that announces prices and listens to them: what the chassis' events are tried on.

It has settings of its own, so it runs in processes of its own: a home's labels must be unique in a process.
"""
