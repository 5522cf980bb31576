"""The front end in IPython and Jupyter."""
