"""Bringing in files of listings, by the command and through the API.

Owns: imports, their parts, and the verdicts on their rows. Emits: import.requested, import.continued, import.finished,
import.failed. Listens to: its own.
"""
