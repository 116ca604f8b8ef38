// What holds between the real binary, a real authorization server, and the official
// client; in this order: the first starts the authorization server, the last ones stop it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { attacks, honest, mint } from './attacks.mjs';
import { claims, giveBack, Installation } from './oauth.mjs';
import { signingKeys, until } from './processes.mjs';

const ERAS = ['legacy', { pin: '2026-07-28' }];
/** What a browser asks before a page's script may send a header of MCP. */
const PREFLIGHT = {
  Origin: 'https://inspector.example',
  'Access-Control-Request-Method': 'GET',
  'Access-Control-Request-Headers': 'mcp-protocol-version',
};
const WELL_KNOWN = '/.well-known/oauth-protected-resource';

export const checks = {
  async 'a server starts while its authorization server is down, and finds it later'(world) {
    const { server, issuer, keys } = world;
    const token = mint(keys[0], honest(issuer, server.url));
    const began = Date.now();
    const { status } = await server.call(token);
    assert.equal(status, 503, 'nobody can say yet whether the token is good');
    assert(Date.now() - began < 15_000, 'nobody waits for a server that is down');
    await issuer.start(keys);
    await until('its tokens are accepted', 90, async () => (await server.call(token)).status === 200);
  },

  async 'the metadata is the same at both places, for any page, without credentials'({ server, issuer }) {
    for (const path of [WELL_KNOWN, `${WELL_KNOWN}/mcp`]) {
      const answer = await fetch(server.origin + path, { headers: { Origin: 'https://inspector.example' } });
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type'), /^application\/json/);
      assert.equal(answer.headers.get('access-control-allow-origin'), '*');
      const preflight = await fetch(server.origin + path, { method: 'OPTIONS', headers: PREFLIGHT });
      assert(preflight.ok, String(preflight.status));
      assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
      const { resource_name, ...metadata } = await answer.json();
      assert.deepEqual(metadata, {
        resource: server.url,
        authorization_servers: [issuer.url],
        scopes_supported: ['records:get_record'],
        bearer_methods_supported: ['header'],
      });
    }
  },

  async 'without a token, the challenge leads to the metadata and blames nobody'({ server }) {
    const { status, challenge } = await server.call();
    assert.equal(status, 401);
    assert.deepEqual(challenge, {
      resource_metadata: `${server.origin}${WELL_KNOWN}/mcp`,
      scope: 'records:get_record',
    });
  },

  async "a program's own token is the agent's, and nobody's behalf"(world) {
    const token = await world.token('reporting');
    await expectRecord(world, await accepted(world, token), {
      agent: 'reporting', subject: null, credential: `token:${claims(token).jti}`, tool: 'get_record',
    });
  },

  async 'the official client signs a person in, given nothing but the URL'(world) {
    for (const era of ERAS) {
      const { installation, client } = await signedIn(world, 'ann', 'desktop', era);
      assert.deepEqual(discovery(installation), [
        'POST refused', `${WELL_KNOWN}/mcp`, '/.well-known/oauth-authorization-server', '/token',
      ]);
      const [{ asked }] = installation.visits;
      assert.equal(asked.get('resource'), world.server.url);
      assert.equal(asked.get('scope'), 'records:get_record offline_access');
      await getRecord(client);
      await expectRecord(world, installation.exchanges.at(-1), { agent: 'desktop', subject: 'ann' });
      await client.close();
    }
  },

  async 'a client that nobody registered registers itself, and gets a name of its own'(world) {
    const { installation, client } = await signedIn(world, 'ann');
    assert(discovery(installation).includes('/reg'), String(discovery(installation)));
    await getRecord(client);
    const id = createHash('sha256').update(installation.clientInformation().client_id).digest('hex');
    const agent = `client-${id.slice(0, 16)}`;
    await expectRecord(world, installation.exchanges.at(-1), { agent, subject: 'ann' });
    await client.close();
  },

  async 'the agent of a delegated token is who acts; its person and tenant stay'(world) {
    const { installation, client } = await signedIn(world, 'ann', 'delegated');
    await getRecord(client);
    const expected = { agent: 'assistant', subject: 'ann', tenant: 'acme' };
    await expectRecord(world, installation.exchanges.at(-1), expected);
    await client.close();
  },

  async 'a list shows what may be called, and what a step-up would allow'(world) {
    const lists = {
      desktop: ['delete_record', 'get_record', 'get_revenue_data', 'search_records'],
      // Its agent, `assistant`, may have no more.
      delegated: ['get_record'],
    };
    for (const [clientId, expected] of Object.entries(lists)) {
      const { client } = await signedIn(world, 'ann', clientId);
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map(({ name }) => name).sort(), expected);
      await client.close();
    }
  },

  async 'a call that needs more scopes names all of them in one challenge'(world) {
    const { server } = world;
    for (const scope of ['records:get_record', 'crm.write']) {
      const refused = await server.call(await world.token('reporting', scope), { tool: 'delete_record' });
      assert.equal(refused.status, 403);
      const { error_description, ...challenge } = refused.challenge;
      assert.deepEqual(challenge, {
        error: 'insufficient_scope',
        scope: 'crm.write crm.delete',
        resource_metadata: `${server.origin}${WELL_KNOWN}/mcp`,
      });
      assert(error_description);
      await expectRecord(world, refused, { tool: 'delete_record', code: 'INSUFFICIENT_SCOPE' });
    }
  },

  async 'a scope that the agent may not have is not asked for'(world) {
    const token = await world.token('billing', 'records:get_record');
    const answer = await world.server.call(token, { tool: 'delete_record' });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.text, /PERMISSION_DENIED/);
  },

  async 'the official client steps up, and keeps what it had'(world) {
    for (const era of ERAS) {
      const { installation, client } = await signedIn(world, 'ann', 'desktop', era);
      const call = () => client.callTool({ name: 'delete_record', arguments: { id: 'rec_0001' } });
      const result = await installation.signingIn(call);
      assert(!result.isError, JSON.stringify(result));
      const refused = installation.exchanges.filter(({ status }) => status === 403);
      assert.equal(refused.length, 1, 'one challenge is enough');
      assert.equal(installation.visits.length, 2);
      const granted = claims(installation.tokens().access_token).scope.split(' ').sort();
      assert.deepEqual(granted, ['crm.delete', 'crm.write', 'records:get_record']);
      await getRecord(client);
      await client.close();
    }
  },

  async 'RS256, PS256, ES256 and EdDSA are accepted, and the clients of an agent are this agent'(world) {
    const algorithms = { reporting: 'RS256', ps256: 'PS256', es256: 'ES256', eddsa: 'EdDSA' };
    for (const [client, algorithm] of Object.entries(algorithms)) {
      const token = await world.token(client);
      assert.equal(header(token).alg, algorithm);
      await expectRecord(world, await accepted(world, token), { agent: 'reporting', subject: null });
    }
  },

  async "another resource's token is refused, though the issuer and the client are right"(world) {
    for (const resource of ['http://127.0.0.1:1/mcp', world.server.origin, `${world.server.url}/`]) {
      const token = await world.token('reporting', undefined, resource);
      assert.equal(claims(token).aud, resource);
      await refused(world, token);
    }
  },

  async 'a token in the query is refused, even beside a good one'(world) {
    const token = await world.token('reporting');
    for (const credential of [undefined, token]) {
      const { status, text } = await world.server.call(credential, { query: `?access_token=${token}` });
      assert([400, 401].includes(status), `${status}: ${text}`);
    }
    await accepted(world, token);
  },

  async 'a token is accepted until it expires, to the second'(world) {
    const token = await world.token('hasty');
    await accepted(world, token);
    const expires = claims(token).exp * 1000;
    await until('an expired token is refused', 15, async () => {
      const before = Date.now();
      const answer = await world.server.call(token);
      if (answer.status === 200) {
        assert(before < expires, 'accepted after it expired');
        return false;
      }
      assert(Date.now() >= expires, 'refused before it expired');
      assert.equal(answer.status, 401);
      assert.equal(answer.challenge.error, 'invalid_token');
      return true;
    });
  },

  async 'the official client refreshes an expired token by itself'(world) {
    const { installation, client } = await signedIn(world, 'ann', 'mayfly');
    const expires = claims(installation.tokens().access_token).exp * 1000;
    await until('the token has expired', 15, () => Date.now() >= expires);
    await getRecord(client);
    assert(installation.exchanges.some(({ challenge }) => challenge?.error === 'invalid_token'));
    assert.equal(installation.visits.length, 1, 'nobody is asked again');
    await client.close();
  },

  async 'revoking a person cuts off the next call for them, and nobody else'(world) {
    const [ann, ben] = [await personsToken(world, 'ann'), await personsToken(world, 'ben')];
    await cutOff(world, ['--subject', 'ben'], ben, [ann, await world.token('reporting')]);
  },

  async 'revoking an agent cuts off its next call, and nobody else'(world) {
    const [reporting, billing] = [await world.token('reporting'), await world.token('billing')];
    await cutOff(world, ['--agent', 'billing'], billing, [reporting]);
  },

  async 'revoking one token leaves its agent the others'(world) {
    const [stolen, other] = [await world.token('reporting'), await world.token('reporting')];
    await cutOff(world, ['--token', claims(stolen).jti], stolen, [other]);
  },

  async 'an opaque token is asked about, and refused soon after its issuer took it back'(world) {
    const token = await world.token('opaque');
    assert(!token.includes('.'));
    await expectRecord(world, await accepted(world, token), { agent: 'reporting', subject: null });
    const asked = world.issuer.asked.length;
    await accepted(world, token);
    assert.equal(world.issuer.asked.length, asked, 'an answer counts for a while');
    await giveBack(world.issuer.url, 'opaque', token);
    await until('it is refused', 30, async () => (await world.server.call(token)).status === 401);
    await refused(world, token);
  },

  async 'no attack on a token gets through, and the authorization server hardly hears of it'(world) {
    const trap = createServer((_, answer) => answer.end()).listen(0, '127.0.0.1');
    await once(trap, 'listening');
    let asked = 0;
    trap.on('request', () => { asked += 1; });
    const before = world.issuer.asked.length;

    await accepted(world, mint(world.keys[0], honest(world.issuer, world.server.url)));
    await accepted(world, mint(world.keys[1], honest(world.issuer, world.server.url)));
    // All at once, since failures one after the other are answered ever more slowly.
    const all = Object.entries(attacks(world, `http://127.0.0.1:${trap.address().port}`));
    const answers = await Promise.all(all.map(([, token]) => world.server.call(token)));
    const through = [];
    for (const [n, [attack]] of all.entries()) {
      const { status, challenge, requestId } = answers[n];
      // A header that is too long is refused as such, before anybody reads it.
      const cause = status === 431 ? 'the header is too long' : await world.server.cause(requestId);
      console.log(`    ${status}  ${attack.padEnd(48)}  ${cause}`);
      if (status !== 431 && challenge?.error !== 'invalid_token') through.push(attack);
    }
    assert.deepEqual(through, []);
    await accepted(world, await world.token('reporting'));

    assert.equal(asked, 0, 'a URL in a token was followed');
    // Unknown keys make it be asked for its keys once, and what has not the three parts of
    // a signed token may be a token that only it can read.
    const opaque = all.filter(([, token]) => token.split('.').length !== 3);
    const requests = world.issuer.asked.slice(before);
    assert(requests.filter((path) => path === '/jwks').length <= 1, String(requests));
    assert(requests.length <= 1 + opaque.length, String(requests));
    trap.close();
  },

  async 'while the authorization server is down, tokens of its known keys are accepted'(world) {
    const [seen, unseen] = [await world.token('reporting'), await world.token('es256')];
    await accepted(world, seen);
    await world.issuer.stop();
    await accepted(world, seen);
    await accepted(world, unseen);
    const [stranger] = signingKeys();
    const began = Date.now();
    const { status } = await world.server.call(mint(stranger, honest(world.issuer, world.server.url)));
    assert([401, 503].includes(status), String(status));
    assert(Date.now() - began < 15_000, 'nobody waits for a server that is down');
    await accepted(world, seen);
  },

  async 'a new signing key is accepted without a restart, and a removed one no longer'(world) {
    await world.issuer.start(world.keys);
    const [seen, unseen] = [await world.token('reporting'), await world.token('reporting')];
    await accepted(world, seen);
    await world.issuer.start(signingKeys());
    const token = await world.token('reporting');
    assert.notEqual(header(token).kid, header(unseen).kid);
    await until('the new key is accepted', 90, async () => (await world.server.call(token)).status === 200);
    await refused(world, unseen);
    await refused(world, seen);
    await accepted(world, token);
  },

  async 'no token was written down anywhere'({ server, tokens }) {
    const written = server.written();
    assert(tokens.length > 10 && written.includes('token:'));
    for (const token of tokens) {
      for (const part of [token, token.split('.').at(-1)]) assert(!written.includes(part));
    }
  },
};

/** A person, signed in to a client that is connected. */
async function signedIn(world, person, clientId, era = ERAS[1]) {
  const known = clientId && { client_id: clientId, issuer: world.issuer.url };
  const installation = new Installation(person, known);
  const client = await installation.connect(world.server.url, era);
  world.tokens.push(installation.tokens().access_token);
  return { installation, client };
}

async function personsToken(world, person) {
  const { installation, client } = await signedIn(world, person, 'desktop');
  await client.close();
  return installation.tokens().access_token;
}

/** What a client went through to find its way, without the calls that were served. */
function discovery({ exchanges }) {
  return exchanges
    .filter(({ pathname, status }) => pathname !== '/mcp' || status === 401)
    .map(({ pathname }) => (pathname === '/mcp' ? 'POST refused' : pathname));
}

async function getRecord(client) {
  const result = await client.callTool({ name: 'get_record', arguments: { id: 'rec_0001' } });
  assert.equal(result.structuredContent?.id, 'rec_0001', JSON.stringify(result));
}

async function accepted({ server }, token) {
  const answer = await server.call(token);
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.text, /rec_0001/);
  return answer;
}

async function refused({ server }, token) {
  const { status, challenge, text } = await server.call(token);
  assert.equal(status, 401, text);
  assert.equal(challenge.error, 'invalid_token');
}

async function expectRecord({ server }, { requestId }, expected) {
  const record = await server.record(requestId);
  const found = Object.fromEntries(Object.keys(expected).map((field) => [field, record[field]]));
  assert.deepEqual(found, expected);
}

/** Revokes what `selector` says, and lifts it again. */
async function cutOff(world, selector, token, others) {
  await accepted(world, token);
  await world.server.run('revoke', ...selector);
  await refused(world, token);
  for (const other of others) await accepted(world, other);
  await world.server.run('revoke', ...selector, '--lift');
  await accepted(world, token);
}

const header = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));
