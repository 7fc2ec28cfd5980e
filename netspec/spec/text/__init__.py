"""Text to data that knows its place in the text, and where the text of a spec is found."""
