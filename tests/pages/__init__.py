"""Pages of `docs/` that are made from data; each module has `page()`, and `tests.docs` writes and compares them."""
