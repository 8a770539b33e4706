"""Owns: credentials and sessions. Emits: session.opened, session.ended, session.reused. Listens to: nothing."""
