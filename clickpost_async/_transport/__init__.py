"""Repeat, wait for a turn, send: everything that has to do with time and sockets."""
