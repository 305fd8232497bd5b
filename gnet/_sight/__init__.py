"""What a process can tell of its servers and sockets."""
