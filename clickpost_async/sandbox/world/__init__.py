"""Couriers, pincodes, clock, scenarios and webhooks of the sandbox."""
