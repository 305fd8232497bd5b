"""What Windows has instead of Unix sockets and readiness."""
