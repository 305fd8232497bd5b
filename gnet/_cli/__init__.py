"""The parts of the command ``gnet``; :mod:`gnet.cli` puts them together."""
