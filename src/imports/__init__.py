"""Owns: nothing yet (what it lands belongs to listings). Emits: nothing of its own. Listens to: nothing."""
