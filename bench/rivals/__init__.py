"""Other gateways before the same made-up upstream, in an environment of their own that nothing else uses."""
