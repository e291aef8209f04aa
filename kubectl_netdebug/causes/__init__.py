"""The catalogue: every cause as a pure function over facts, beside its texts and fixes; a file for a family."""
