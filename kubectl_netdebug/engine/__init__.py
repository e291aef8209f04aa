"""Runs a flow: asks for facts, waits for them within deadlines, concludes, records and replays."""
