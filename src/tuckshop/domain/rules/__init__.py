"""A group's own rules for its calls, which need no provider to be held against (decision 0032)."""
