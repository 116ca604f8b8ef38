// The JavaScript side of the overhead bench: a tool that echoes its message.

const inputSchema =
  '{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}';

export const tools = {
  listTools: () => [{ name: 'echo_js', description: 'Echoes a message.', inputSchema }],

  callTool(name, args) {
    const content = [{ tag: 'text', val: { text: JSON.parse(args).message } }];
    return { tag: 'done', val: { content } };
  },
};
