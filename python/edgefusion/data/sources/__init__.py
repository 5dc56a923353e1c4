"""Where pictures with captions come from: each module reads one kind of source for the ingest."""
