"""Do two cascades compute the same? Exactly in a finite field, in many digits, in symbols, and in floats."""
