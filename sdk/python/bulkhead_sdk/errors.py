"""How a tool fails: a code for programs, a sentence for the model, and whether
trying again makes sense."""

import re
from collections.abc import Mapping
from typing import Any, Self

_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,63}")


class ToolError(Exception):
    """A failure that the caller of a tool can reason about.

    All of it reaches the agent, so nothing internal belongs into it: no path, no
    query, no text of a foreign exception that nobody has read.

    Attributes:
        code: A stable name for the kind of failure: 3 to 64 of `A-Z 0-9 _`,
            starting with a letter. The host's own codes (`PERMISSION_DENIED`,
            `RATE_LIMITED`, ...) arrive as `TOOL_ERROR`.
        message: One or two sentences that a model can act on.
        retryable: Whether the same call may succeed later.
        retry_after: The seconds to wait before that; implies `retryable`.
        details: A JSON object for programs; the host drops more than 8 KiB.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        if not _CODE.fullmatch(code):
            raise ValueError(f"{code!r} is no code: 3 to 64 of A-Z, 0-9, _, a letter first")
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable or retry_after is not None
        self.retry_after = retry_after
        self.details = dict(details or {})

    @classmethod
    def not_found(cls, what: str) -> Self:
        """`RECORD_NOT_FOUND` for `not_found("record")`: what was named does not exist."""
        kind = re.sub(r"[^A-Z0-9]", "_", what.upper())
        return cls(f"{kind}_NOT_FOUND", f"There is no such {what}.")

    @classmethod
    def conflict(cls, message: str) -> Self:
        """`CONFLICT`: the request is right but does not fit the present state."""
        return cls("CONFLICT", message)

    @classmethod
    def invalid(cls, message: str) -> Self:
        """`INVALID_INPUT`: the arguments match the schema and still make no sense."""
        return cls("INVALID_INPUT", message)

    @classmethod
    def unavailable(cls, retry_after: float) -> Self:
        """`TEMPORARILY_UNAVAILABLE`: what the tool needs is expected back after so many
        seconds. (`UNAVAILABLE` is the host's own.)"""
        message = "What this tool depends on is not available right now."
        return cls("TEMPORARILY_UNAVAILABLE", message, retry_after=retry_after)
