"""Owns: listings, their life, history, pending changes and favourites. Emits: listing.*. Listens to: nothing."""
