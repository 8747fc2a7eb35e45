"""From artifacts to candidates, and from a ranking to what is trained: what selectors themselves never do."""
