"""Checkpoints and descriptor data sets as repositories of the Hugging Face Hub: build, verify, describe, publish."""
