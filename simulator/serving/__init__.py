"""Serving in small: requests that arrive, one policy of continuous batching, and how long they wait."""
