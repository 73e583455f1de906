"""What is compared: each gathers creates of orders that it has read before."""
