"""Owns: listings, their life, price history and favourites. Emits: listing.*. Listens to: its own listing.*, to learn words."""
