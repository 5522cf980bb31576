"""What was measured: the report, its DataFrames, and the forms in which it is printed and kept."""
