"""Owns: profiles. Emits: user.registered, user.edited. Listens to: nothing."""
