"""Logs and event names. Nothing here knows of servers, ledgers or commands."""
