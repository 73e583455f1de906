"""Routing, rate limiting, security and fault injection of the sandbox."""
