"""One module for each library that the client works together with, which it never needs itself."""
