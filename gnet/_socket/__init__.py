"""The socket that a program has: Node's vocabulary, Python's, and dialling."""
