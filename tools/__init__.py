"""What is run by hand on a checkout: the price list and the generated reference pages."""
