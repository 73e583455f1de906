"""Requests to JSON and JSON to responses; pure, no I/O."""
