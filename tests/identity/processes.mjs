// The two processes under test, the authorization server and the real binary. What is
// started here ends here, with the test at the latest.
import assert from 'node:assert/strict';
import { execFile, fork, spawn } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readChallenge, secretOf } from './oauth.mjs';

const started = new Set();
process.on('exit', () => started.forEach((child) => child.kill()));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function keep(child) {
  started.add(child);
  child.on('exit', () => started.delete(child));
  return child;
}

async function end(child) {
  if (!child || !started.has(child)) return;
  const ended = once(child, 'exit');
  child.kill();
  await ended;
}

/** A loopback port that nobody has. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Tries again until `probe` gives something, for as long as `seconds`. */
export async function until(what, seconds, probe) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const found = await probe();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`${what}: not within ${seconds} s`);
}

/** A fresh signing key of each kind, as an authorization server keeps them. */
export function signingKeys() {
  const kinds = [
    ['rsa', { modulusLength: 2048 }],
    ['ec', { namedCurve: 'P-256' }],
    ['ed25519', {}],
  ];
  return kinds.map(([kind, options]) => ({
    ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }),
    kid: `${kind}-${randomUUID()}`,
    use: 'sig',
  }));
}

export class Issuer {
  /** The path of every request for its keys, and about a token. */
  asked = [];

  #log;
  #port;
  #process;

  constructor(port, log) {
    this.url = `http://127.0.0.1:${port}`;
    this.#port = port;
    this.#log = log;
  }

  /** Starts it, or starts it again, with these keys. */
  async start(keys) {
    await this.stop();
    const program = fileURLToPath(new URL('issuer.mjs', import.meta.url));
    const log = openSync(this.#log, 'a');
    const stdio = ['ignore', log, log, 'ipc'];
    this.#process = keep(fork(program, [JSON.stringify({ port: this.#port, keys })], { stdio }));
    const [said] = await Promise.race([once(this.#process, 'message'), once(this.#process, 'exit')]);
    assert.equal(said, 'ready', readFileSync(this.#log, 'utf8'));
    this.#process.on('message', (path) => this.asked.push(path));
  }

  stop() {
    return end(this.#process);
  }
}

const VERSION = '2026-07-28';

export class Bulkhead {
  #binary;
  #configuration;
  #health;
  #log;
  #process;
  #state;

  constructor(binary, folder, port, health, configuration) {
    this.origin = `http://127.0.0.1:${port}`;
    this.url = `${this.origin}/mcp`;
    this.#binary = binary;
    this.#health = `http://127.0.0.1:${health}`;
    this.#configuration = `${folder}/bulkhead.toml`;
    this.#log = `${folder}/bulkhead.log`;
    this.#state = `${folder}/state`;
    writeFileSync(this.#configuration, configuration);
  }

  async start() {
    const log = openSync(this.#log, 'a');
    const stdio = ['ignore', log, log];
    const env = { ...process.env, ISSUER_SECRET: secretOf('bulkhead') };
    this.#process = keep(spawn(this.#binary, ['serve', '--config', this.#configuration], { stdio, env }));
    await until('the server is ready', 60, async () => {
      assert.equal(this.#process.exitCode, null, readFileSync(this.#log, 'utf8'));
      return fetch(`${this.#health}/readyz`).then(({ ok }) => ok, () => false);
    });
  }

  stop() {
    return end(this.#process);
  }

  /** Runs a command of the binary, beside the server. */
  async run(...command) {
    const { stdout } = await promisify(execFile)(this.#binary, [...command, '--config', this.#configuration]);
    return stdout.trim();
  }

  /** One `tools/call` without a client's help, so that its answer is seen as it is. */
  async call(credential, { tool = 'get_record', args = { id: 'rec_0001' }, query = '' } = {}) {
    const answer = await fetch(this.url + query, {
      method: 'POST',
      signal: AbortSignal.timeout(30_000),
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': VERSION,
        'Mcp-Method': 'tools/call',
        'Mcp-Name': tool,
        ...(credential && { Authorization: `Bearer ${credential}` }),
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: {
          name: tool,
          arguments: args,
          _meta: {
            'io.modelcontextprotocol/protocolVersion': VERSION,
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      challenge: readChallenge(answer.headers.get('www-authenticate')),
      requestId: answer.headers.get('x-request-id'),
      text,
    };
  }

  /** The audit record of a request. */
  record(requestId) {
    const ofRequest = ({ request_id }) => request_id === requestId;
    return until(`the record of ${requestId}`, 10, () => this.#records().find(ofRequest));
  }

  #records() {
    // What stands behind the last newline is still being written.
    const lines = readFileSync(`${this.#state}/audit.jsonl`, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  /** Why a request was refused: for the operator, who follows it up by its id. */
  cause(requestId) {
    const ofRequest = (line) => line.includes(`"request_id":"${requestId}"`);
    return until(`the cause of ${requestId}`, 10, () => {
      const line = this.log().split('\n').slice(0, -1).find(ofRequest);
      return line && JSON.parse(line).cause;
    });
  }

  /** What the server told its operator. */
  log() {
    return readFileSync(this.#log, 'utf8');
  }

  /** Everything that the server has written down. */
  written() {
    return this.log() + readFileSync(`${this.#state}/audit.jsonl`, 'utf8');
  }
}
