"""Rules that every store follows, as pure functions and values. No engine is imported here."""
