"""How a tool fails: a code for programs, a sentence for the model, and whether
trying again makes sense."""

import re
from collections.abc import Mapping
from typing import Any

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
