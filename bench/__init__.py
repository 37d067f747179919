"""What the service costs, beside others of its kind: ``make bench`` (docs/benchmarks.md)."""
