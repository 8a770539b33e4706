"""`make bench`: our server against a bare handler on the same data; see `run.py`."""
