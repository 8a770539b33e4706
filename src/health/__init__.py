"""Owns: nothing; tells orchestrators whether this process lives and can serve, and Prometheus how it does. Emits and
listens to: nothing."""
