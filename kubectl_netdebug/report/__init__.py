"""Draws a result: text for people, JSON and YAML for programs. Nothing here decides anything."""
