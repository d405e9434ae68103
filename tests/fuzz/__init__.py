"""What holds the compiled modules to their Python sources and to h11 (docs/testing.md)."""
