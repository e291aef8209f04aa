"""Makes what people install: a wheel, a self-contained archive with licences and bill of materials, krew's manifest.

`python -m release --help`; the Makefile has the usual calls. Only the standard library and PyYAML start it:
everything else is installed into environments of its own below `build/release`.
"""
