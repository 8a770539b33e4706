"""Owns: dated sets of exchange rates. Emits: exchange_rates.updated. Listens to: nothing."""
