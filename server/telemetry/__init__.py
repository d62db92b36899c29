"""What the server tells about itself: traces, metrics and structured logs.

The only import of OpenTelemetry, of Prometheus' client and of structlog. They come with the extra
`telemetry`, and `server.assemble` imports this package only where a setting asks for it.
"""
