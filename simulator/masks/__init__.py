"""Attention masks, counted: which pairs are allowed, and which tiles a kernel must visit for them."""
