"""Owns: notifications, deliveries, preferences. Emits: mail.queued. Listens to: auth, users, listings and itself."""
