"""What a user may ask for: the schema, and the flags that are made from it."""
