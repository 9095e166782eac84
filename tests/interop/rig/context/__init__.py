"""What follows a request through a service."""
