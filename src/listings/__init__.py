"""Owns: listings, their life, price history and favourites, and their words. Emits: listing.*. Listens to: listing.*."""
