"""What a person may know: everything about them (P4)."""
