"""What the comparison of token verification is made of."""
