"""Downloads of files from URLs that responses name."""
