"""What a model is called with, one file a modality; `describe` puts them together."""
