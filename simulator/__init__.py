"""Designs lowered to periodic task graphs: one bound explains them, one engine runs them."""
