"""How fast it is, beside what one would write or use instead: `nox -s bench`."""
