"""The same rules in Envoy and in servers of the mesh: what is asked, and what comes back."""
