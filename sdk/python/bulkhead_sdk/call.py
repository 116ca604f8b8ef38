"""The call that is being served: who makes it, what is left of its quota, and what
the caller and the operator are told meanwhile.

In a test there is no host: texts and lists are empty, options are `None`, time and
fuel are endless, and nobody reads progress or logs.
"""

import json
from typing import Any, Literal

from . import wire

try:
    # Made by componentize-py, and only there.
    from wit_world.imports import call as _host  # type: ignore[import-not-found]
except ModuleNotFoundError:
    _host = None

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
_ENDLESS = 2**64 - 1


def agent() -> str:
    """Which program calls: the authenticated agent's name."""
    return _host.agent() if _host else ""


def subject() -> str | None:
    """On whose behalf it calls, where the credential says so."""
    return _host.subject() if _host else None


def scopes() -> list[str]:
    """The scopes that the caller holds, as they were granted (`records:*`). The host
    has already decided that this caller may call this tool."""
    return _host.scopes() if _host else []


def request_id() -> str:
    """The host's name for this call: the same in the audit record, and in an error
    that a client sees."""
    return _host.request_id() if _host else ""


def traceparent() -> str | None:
    """The W3C trace context's `traceparent`, where the client sent one."""
    return _host.traceparent() if _host else None


def tracestate() -> str | None:
    """The W3C trace context's `tracestate`, where the client sent one."""
    return _host.tracestate() if _host else None


def client_metadata() -> dict[str, Any]:
    """The request's `_meta` without the keys that belong to MCP itself. The client
    wrote it: it proves nothing. Costs one host call."""
    return json.loads(_host.client_metadata()) if _host else {}


def remaining_time_ms() -> int:
    """The milliseconds that are left until the host ends this call."""
    return _host.remaining_time_ms() if _host else _ENDLESS


def remaining_fuel() -> int:
    """The fuel that is left for this call; about one unit per wasm instruction."""
    return _host.remaining_fuel() if _host else _ENDLESS


def max_output_bytes() -> int:
    """The bytes that this call's result may have; more is an error."""
    return _host.max_output_bytes() if _host else _ENDLESS


def progress(done: float, total: float | None = None, message: str | None = None) -> None:
    """Tells the client how far the call is: `done` of `total`, in a unit of the tool's
    choosing. `done` must grow from one report to the next; a report that does not is
    dropped. Costs one host call."""
    if _host:
        text = None if message is None else wire.well_formed(message)
        _host.progress(float(done), None if total is None else float(total), text)


def log(message: str, level: Level = "info") -> None:
    """Writes a line to the operator's log, under this call's request id. The host
    cleans and cuts the text. Costs one host call."""
    if _host:
        _host.log(_host.Level[level.upper()], wire.well_formed(message))
