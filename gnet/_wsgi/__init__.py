"""The HTTP/1.1 side of :mod:`gnet.wsgi`: a noun a module, and no application's code in any."""
