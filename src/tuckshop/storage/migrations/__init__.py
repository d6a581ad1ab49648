"""How the schema became what it is: one module per step, forward only."""
