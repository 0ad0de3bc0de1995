"""The MySQL/MariaDB shell: connections, schema facts, SQL text, preflight. No decisions in here."""
