"""What a diagnosis is made of: questions, facts, hops, findings and results. Plain data, no I/O."""
