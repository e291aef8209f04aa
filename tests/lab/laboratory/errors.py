"""What the laboratory says when it cannot go on."""


class LabError(Exception):
    """A failure told in plain words; `code` is the exit status."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def tail(text: str, lines: int = 20) -> str:
    """The last lines of a log, indented so that they stand apart from the sentence before them."""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
