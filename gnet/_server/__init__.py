"""Servers: where they listen, whom they let in, and how they end."""
