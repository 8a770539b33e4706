"""The floor everything stands on: settings, database, events, errors, security. It knows no domain."""
