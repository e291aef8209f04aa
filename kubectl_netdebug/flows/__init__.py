"""The decision trees as data: which hops a question passes, in order, and what decides each of them."""
