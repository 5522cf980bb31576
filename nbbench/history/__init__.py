"""What was ever measured here: every case that ends goes into one database in the user's folder.

`database` opens it, `store` adds to it while a benchmark runs, `search` reads from it, `exchange`
moves cases from one database to another.
"""
