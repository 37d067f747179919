"""A wire-faithful SGLang server without a model, with fault switches.

It is a real HTTP server in its own process, for tests, benchmarks and demonstrations:
`python -m simulator --port 0` prints one line with its URL when it listens.
"""
