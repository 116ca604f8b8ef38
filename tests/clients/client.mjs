// The official TypeScript client (v2) lists the tools and calls one.
//
//   node client.mjs MODE TOOL ARGUMENTS http URL KEY
//   node client.mjs MODE TOOL ARGUMENTS stdio COMMAND [ARGUMENT …]
//
// MODE is `legacy` (the `initialize` handshake) or a protocol version to pin.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [mode, tool, args, way, target, ...rest] = process.argv.slice(2);
const transport = way === 'http'
  ? new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers: { Authorization: `Bearer ${rest[0]}` } } })
  : new StdioClientTransport({ command: target, args: rest, env: process.env, stderr: 'inherit' });
const client = new Client(
  { name: 'bulkhead-ci', version: '1.0.0' },
  { versionNegotiation: { mode: mode === 'legacy' ? 'legacy' : { pin: mode } } },
);
await client.connect(transport);
const { tools } = await client.listTools();
if (!tools.some(({ name }) => name === tool)) throw new Error(`${tool} is not listed`);
const result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
if (result.isError) throw new Error(JSON.stringify(result));
console.log(JSON.stringify({ tools: tools.length, structuredContent: result.structuredContent }));
await client.close();
