"""The life of a call: retries, reconciliation, one attempt, authentication."""
