"""What was ever measured here: every case that ends goes into one database in the user's folder.

`tables` and `columns` are what is in it, `connection` opens it, `damage` mends it, and `database`
does both. `store` adds to it, and finds what a resumed run need not measure: `alike` says which
rows are of the same case, `candidates` which of them serve. `run_history` has a run's cases added
whatever comes between. `query` and `trends` read, by `filters`; `exchange` moves cases from one
database to another, and `prune` removes them. `kept_case` is one row, which may be damaged.
"""
