"""Turns fact keys into facts, each from the place where it matters: the API, a Pod, this machine."""
