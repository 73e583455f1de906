"""Primitives for concurrent calls; knows neither HTTP nor ClickPost."""
