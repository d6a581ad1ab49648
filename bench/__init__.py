"""How fast tuckshop is, as ratios to nginx in one run on the same made-up upstream."""
