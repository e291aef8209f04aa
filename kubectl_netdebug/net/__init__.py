"""Pure engines and parsers: what the kernel, a resolver or a server wrote, as data."""
