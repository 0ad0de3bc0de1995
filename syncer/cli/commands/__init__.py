"""One module per command: read options, call the service, print, return the exit code."""
