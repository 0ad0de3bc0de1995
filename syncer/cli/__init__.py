"""The command line: commands, output, exit codes. Nobody imports it."""
