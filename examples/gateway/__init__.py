"""A gateway to devices with a binary protocol; `__main__` says how to run it."""
