"""What two processes have between them."""
