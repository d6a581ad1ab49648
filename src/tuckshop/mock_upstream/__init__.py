"""
The made-up OpenAI: a provider that behaves, streams, bills and fails like the real one, and needs no network.

It is the oracle of the tests and the other end of the benchmark, so it imports nothing else of tuckshop: what it
counts and bills is counted a second time, by other code. What it does is described in docs/reference/mock-upstream.md.
"""
