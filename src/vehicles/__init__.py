"""Owns: vehicle details. Emits: nothing of its own (listings does). Listens to: nothing."""
