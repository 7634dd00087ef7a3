"""Every writing or locking statement says in a comment which code it comes from, context by context.

INSTALLED_APPS gets `strangler.chassis.callsites`. Setting: CALLSITES_ROOT, the package that holds the
contexts ("monolith": then monolith/ordering/services.py belongs to ordering). The database's recorder reads
the comment of statements on rows that are to move; nobody else looks at it.
"""
