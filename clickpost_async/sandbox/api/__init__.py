"""ClickPost's endpoints as the sandbox plays them, one chapter a module."""
