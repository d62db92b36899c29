"""Parts for tests, benchmarks and the demo: bases, processes, a Neo4j of one's own."""
