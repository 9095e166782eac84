"""What the interop tests are run with."""
