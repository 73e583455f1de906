"""Integrations with other libraries, one module each; all are optional."""
