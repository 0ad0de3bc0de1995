"""The protocol's pure part: no sockets, clocks, threads, logging or randomness in here."""
