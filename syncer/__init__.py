"""Keep two MySQL or MariaDB primaries equal by reading both replication streams."""
