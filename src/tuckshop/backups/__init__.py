"""Backups of a data folder: the ledger in one file, and what may not travel with it in files of their own (P10)."""
