"""Views of API objects: only what diagnosing needs, built so that a missing or odd field never raises."""
