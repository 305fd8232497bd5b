"""What is attached to gevent's loop: timers, watchers, and the kernel's pipes."""
