"""Rosters as learning platforms and spreadsheets export them: bytes in, rows with their lines out."""
