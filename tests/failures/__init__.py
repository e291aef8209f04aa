"""The failure matrix: the whole program in front of an API server that plays a recording and misbehaves."""
