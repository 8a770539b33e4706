"""Owns: listings, their life, history, pending changes, favourites and words. Emits: listing.*. Listens to: its own."""
