"""kubectl netdebug: finds why a Pod or Service cannot be reached, and proves it."""

__version__ = "0.1.0"
