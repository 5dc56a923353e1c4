"""Training: the networks of a text-to-image pipeline, one module a kind of training, on one loop."""
