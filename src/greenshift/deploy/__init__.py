"""Networks that really run: packed artifacts, the native runtime and exports."""
