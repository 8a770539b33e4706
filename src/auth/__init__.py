"""Owns: credentials, sessions and one-time tokens. Emits: session.opened, session.ended, session.reused,
user.verification_requested, user.email_verified, user.password_reset_requested, user.password_changed. Listens to:
nothing.
"""
