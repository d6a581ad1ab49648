"""Telling of what happens: to programs by webhooks, to people by mail."""
