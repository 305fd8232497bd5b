"""Packaging of gnet; ``pyproject.toml`` has the settings of the tools."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def version() -> str:
    """The version that the package says it has, without importing it and what it requires."""
    text = (ROOT / "gnet" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert match is not None, "gnet/__init__.py has no __version__"
    return match[1]


setup(
    name="gnet",
    version=version(),
    description="Node's net module for Python programs that run on gevent",
    long_description="\n".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.rst", "CHANGES.rst")
    ),
    long_description_content_type="text/x-rst",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["gevent", "greenlet", "net", "network", "server", "socket", "tcp", "unix socket"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Operating System :: MacOS",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet",
        "Topic :: System :: Networking",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    packages=find_packages(include=["gnet", "gnet.*"]),
    package_data={"gnet": ["py.typed"]},
    entry_points={"console_scripts": ["gnet = gnet.cli:main"]},
    install_requires=["dnspython>=2.4", "gevent>=24.2.1", "greenlet>=3", "zope.event>=5"],
    extras_require={
        "bench": ["matplotlib", "pyee", "trio", "twisted", "uvloop"],
        "clients": [
            "aiosmtpd",
            "django",
            "flask",
            "flask-sock",
            "paramiko",
            "pg8000",
            "pyftpdlib",
            "pymemcache",
            "pymysql",
            "redis",
            "requests",
            "trustme",
        ],
        "docs": ["furo", "sphinx>=7"],
        "test": ["hypothesis>=6.75", "pytest>=8", "pytest-rerunfailures>=14"],
    },
    zip_safe=False,
)
