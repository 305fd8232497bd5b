"""The rooms behind :mod:`gnet.dns`: names, records, and the resolver on dnspython.

``import gnet`` loads ``names`` and ``records`` only, and neither needs dnspython.
"""
