"""The Python side of the overhead bench: a tool that echoes its message."""

import json

from wit_world import exports
from wit_world.imports import types

SCHEMA = '{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}'


class Tools(exports.Tools):
    def list_tools(self):
        return [types.Tool("echo_py", None, "Echoes a message.", SCHEMA, None, None, None)]

    def call_tool(self, name, arguments):
        text = types.Text(json.loads(arguments)["message"], None)
        return types.Outcome_Done(types.Output([types.Content_Text(text)], None, None))
