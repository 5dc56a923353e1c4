"""Evaluation: pictures from pipelines, what metrics say about them, and what people say about them."""

#: The feature extractor that needs no download.
DEFAULT_FEATURES = "efficientnet-lite0"
