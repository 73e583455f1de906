"""ClickPost's endpoints in the sandbox, one module per group."""
