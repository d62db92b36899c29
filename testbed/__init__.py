"""What tests, benchmarks and the demo share: small base graphs, server processes, a Neo4j to try.

It may import the service and the loaders. Nothing outside `tests` imports `tests`.
"""
