"""The machine that measures: its processor, memory, load and GPUs."""
