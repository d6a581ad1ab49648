"""Erasing people: what it does to the ledger's rows, the order of its steps, and who comes back."""
