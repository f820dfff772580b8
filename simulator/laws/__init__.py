"""Cost laws: what an attention algorithm costs in one currency, by formulas of a paper, made exact and tested."""
