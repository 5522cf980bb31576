"""What was ever measured here: every case that ends goes into one database in the user's folder.

`tables` and `columns` are what is in it, `connection` opens it, `damage` mends it, and `database`
does both. `store` adds to it and finds in it, `keeping` has a run's cases added whatever comes
between, `search` and `trends` read, `exchange` moves cases from one database to another, and
`prune` removes them. `kept_case` is one row, which may be damaged.
"""
