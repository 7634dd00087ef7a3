"""What the monolith and the services both carry: wire formats and mechanism, never meaning."""
