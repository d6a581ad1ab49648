"""Taking over keys, users and teams of other gateways: their exports read, and what was read put into the directory."""
