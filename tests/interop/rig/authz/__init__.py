"""What the comparison of external authorization is made of."""
