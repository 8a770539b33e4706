"""Owns: nothing; tells orchestrators whether this process lives and can serve. Emits and listens to: nothing."""
