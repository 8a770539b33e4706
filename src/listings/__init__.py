"""Owns: listings, their life, prices, favourites and words. Emits: listing.*. Listens to: listing.*, to learn words."""
