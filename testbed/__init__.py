"""
Private database servers for tests, benchmarks and demonstrations.

Nothing here is part of the product: the wheel leaves this package out, and
`syncer` never imports it. Start at `testbed.provision`, which gives a pair of
servers, or at `testbed.servers` for a single one.
"""
