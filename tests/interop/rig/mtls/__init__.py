"""Mutual TLS between data planes."""
