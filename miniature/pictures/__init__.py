"""Sets of drawn pictures, and how networks are shown them."""
