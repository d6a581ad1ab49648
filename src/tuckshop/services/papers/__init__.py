"""Papers for data protection: written from what is in force when they are asked for (P5)."""
