"""Owns: countries and cities with their names in many languages. Emits: nothing. Listens to: nothing."""
