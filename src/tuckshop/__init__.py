"""Tuckshop: share one real LLM API key among many people, each with a key and a budget of their own."""

__version__ = "0.1.0"
