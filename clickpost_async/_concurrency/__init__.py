"""Primitives for concurrent calls; independent of HTTP and ClickPost."""
