"""What bytes travel on: sockets, files, paths, and Windows' pipes."""
