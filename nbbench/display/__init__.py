"""How one watches a benchmark: in a log, on a terminal, below a notebook's cell."""
