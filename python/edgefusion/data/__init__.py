"""Preparing pictures with captions: each stage reads a dataset (or a source) and writes another, shard by shard."""
