"""Where a snippet's prints go: as much of their beginning and their end as there is
room for, whatever the snippet does to `sys.stdout`."""

import contextlib
import io


class Captured(io.BufferedIOBase):
    """Keeps at most `room` bytes of what is written to `stream`, and cannot be closed."""

    def __init__(self, room: int) -> None:
        # It collects some KiB before it comes here: a call of Python for every `print`
        # would cost more than the print.
        self.stream = io.TextIOWrapper(  # type: ignore[type-var]
            self, "utf-8", "backslashreplace", newline=""
        )
        self._half = room // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Keeps these bytes, at the expense of what lies in the middle."""
        data = bytes(data)
        free = self._half - len(self._head)
        self._head += data[:free]
        self._tail += data[free:] if free > 0 else data
        # Not at every write: that would move the tail for each line.
        if len(self._tail) > 2 * self._half:
            self._trim()
        return len(data)

    def close(self) -> None:
        """Nothing: `print` is there for the whole snippet."""

    def text(self) -> tuple[str, bool]:
        """What was printed, and whether something is left out in the middle."""
        with contextlib.suppress(ValueError):  # the snippet has detached it
            self.stream.flush()
        self._trim()
        head, tail = bytes(self._head), bytes(self._tail)
        if not self._dropped:
            return (head + tail).decode(errors="replace"), False
        note = f"\n[… {self._dropped} bytes left out …]\n"
        return head.decode(errors="replace") + note + tail.decode(errors="replace"), True

    def _trim(self) -> None:
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess
