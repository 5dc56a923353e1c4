"""Evaluation: pictures from pipelines, what metrics say about them, and what people say about them."""
