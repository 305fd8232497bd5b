"""The gates: what gnet costs and how it is built, in numbers that a change is held against.

``python -m tests.gates`` prints all of them; there is no time in it, so they are the same on a
busy machine. Those without noise are a test as well (``tests/test_gates.py``).
"""
