"""The client in the environments that applications run it in: event loops, tools, systems."""
