"""Cases on the nodes of a cluster that Ray manages."""
