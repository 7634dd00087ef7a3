"""The services that came out of the monolith: one folder each, and nothing shared between them."""
