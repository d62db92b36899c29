"""Three small programs that use the client as an application would. Each is one file to copy."""
