"""Key2Key: the open marketplace backend for things that have keys."""

__version__ = "0.1.0"
