"""`tuckshop demo`: the real server over a made-up class, a made-up week and a made-up provider."""
