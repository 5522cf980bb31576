"""The implementations of `nbbench.worker.backend.Backend` that come with nbbench."""
