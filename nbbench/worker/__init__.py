"""The worker: runs cases in a backend's own interpreter and reports what it measured.

It imports the standard library, a framework and itself, and nothing else of nbbench, so that any
interpreter from Python 3.9 on can run it from this folder alone.
"""
