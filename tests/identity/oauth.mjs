// The client's side of OAuth: tokens of programs that act for themselves, and what the
// official client leaves to the program it is part of, memory and a browser.
import assert from 'node:assert/strict';
import {
  Client, StreamableHTTPClientTransport, UnauthorizedError,
} from '@modelcontextprotocol/client';

/** Where a browser comes back to the client; nobody listens there. */
export const REDIRECT_URI = 'http://127.0.0.1/callback';

/** What a program that acts for itself shares with the authorization server. */
export const secretOf = (id) => `the secret of ${id}`;

/** What `endpoint` of the authorization server answers this program. */
async function post(endpoint, id, parameters) {
  const credentials = [id, secretOf(id)].map(encodeURIComponent).join(':');
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa(credentials)}` },
    body: new URLSearchParams(parameters),
  });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return text;
}

/** A token of a program that acts for itself, for `resource` (RFC 6749 §4.4, RFC 8707). */
export async function clientCredentials(issuer, id, resource, scope = 'records:get_record') {
  const parameters = { grant_type: 'client_credentials', resource, scope };
  return JSON.parse(await post(`${issuer}/token`, id, parameters)).access_token;
}

/** Has the authorization server take back its program's own token (RFC 7009). */
export const giveBack = (issuer, id, token) => post(`${issuer}/token/revocation`, id, { token });

/** What a JWT says, unverified. */
export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

/**
 * One installation of a client: what it remembers between requests, and the person at
 * its browser. The official client asks it for both (`OAuthClientProvider`).
 */
export class Installation {
  redirectUrl = REDIRECT_URI;
  clientMetadata = {
    client_name: 'A client that nobody registered',
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
  };
  /** What the browser was sent to, and with what it came back. */
  visits = [];
  /** Every request that the client made, in order. */
  exchanges = [];

  #person;
  #client;
  #tokens;
  #verifier;
  #discovery;

  /** With what an authorization server knows it by, or to register itself. */
  constructor(person, client) {
    this.#person = person;
    this.#client = client;
  }

  clientInformation() { return this.#client; }
  saveClientInformation(client) { this.#client = client; }
  tokens() { return this.#tokens; }
  saveTokens(tokens) { this.#tokens = tokens; }
  codeVerifier() { return this.#verifier; }
  saveCodeVerifier(verifier) { this.#verifier = verifier; }
  discoveryState() { return this.#discovery; }
  saveDiscoveryState(state) { this.#discovery = state; }

  async redirectToAuthorization(url) {
    url.searchParams.set('login_hint', this.#person);
    this.visits.push({ asked: url.searchParams, returned: await browse(url) });
  }

  /** Connects the official client; it signs in where the server makes it. */
  async connect(server, mode) {
    try {
      return await this.#attempt(server, mode);
    } catch (error) {
      await this.#signIn(error);
      return this.#attempt(server, mode);
    }
  }

  /** What `action` gives, after signing in again where the server makes it. */
  async signingIn(action) {
    try {
      return await action();
    } catch (error) {
      await this.#signIn(error);
      return action();
    }
  }

  async #attempt(server, mode) {
    this.transport = new StreamableHTTPClientTransport(new URL(server), {
      authProvider: this,
      fetch: (url, init) => this.#recorded(url, init),
    });
    const client = new Client({ name: 'identity', version: '1.0.0' }, { versionNegotiation: { mode } });
    await client.connect(this.transport);
    return client;
  }

  /** The client has sent the browser away, and is handed what it came back with. */
  async #signIn(error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await this.transport.finishAuth(this.visits.at(-1).returned);
  }

  async #recorded(url, init) {
    const answer = await fetch(url, init);
    const { origin, pathname } = new URL(url);
    const { status, headers } = answer;
    const [challenge, requestId] = ['www-authenticate', 'x-request-id'].map((name) => headers.get(name));
    this.exchanges.push({ origin, pathname, status, challenge: readChallenge(challenge), requestId });
    return answer;
  }
}

/** Follows redirects with cookies, as a browser, back to the client; returns with what. */
async function browse(url) {
  const cookies = new Map();
  while (!url.href.startsWith(`${REDIRECT_URI}?`)) {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    assert(location, `${url} answered ${answer.status}: ${await answer.text()}`);
    url = new URL(location, url);
  }
  return url.searchParams;
}

/** The parameters of a `Bearer` challenge, read by the grammar (RFC 9110 §11.6.1): no more, none twice. */
export function readChallenge(header) {
  if (header === null) return null;
  const scheme = 'Bearer ';
  assert(header.startsWith(scheme), header);
  const parameters = {};
  const parameter = /([a-z_]+)="([^"\\]*)"(?:, |$)/y;
  parameter.lastIndex = scheme.length;
  while (parameter.lastIndex < header.length) {
    const [, name, value] = parameter.exec(header) ?? assert.fail(header);
    assert(!(name in parameters), header);
    parameters[name] = value;
  }
  return parameters;
}
