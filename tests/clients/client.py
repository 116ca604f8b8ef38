"""The official Python client lists the tools and calls one.

    client.py MODE TOOL ARGUMENTS http URL KEY
    client.py MODE TOOL ARGUMENTS stdio COMMAND [ARGUMENT ...]

MODE is `legacy` (the `initialize` handshake) or a protocol version to pin.
"""

import asyncio
import json
import os
import sys

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

async def main(mode, tool, arguments, way, target, *rest):
    if way == "http":
        headers = {"Authorization": f"Bearer {rest[0]}"}
        target = streamable_http_client(target, http_client=create_mcp_http_client(headers=headers))
    else:
        target = StdioServerParameters(command=target, args=list(rest), env=dict(os.environ))
    async with Client(target, mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert any(listed.name == tool for listed in tools), f"{tool} is not listed"
        result = await client.call_tool(tool, json.loads(arguments))
        assert not result.is_error, result
        print(json.dumps({"tools": len(tools), "structuredContent": result.structured_content}))

asyncio.run(main(*sys.argv[1:]))
