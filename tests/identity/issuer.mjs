// A real authorization server (`oidc-provider`) as a process of its own, so that it can
// be stopped, and started again with other keys.
//
//   fork('issuer.mjs', [JSON.stringify({ port, keys })])
//
// It tells whoever forked it when it is 'ready', and then the path of each request that
// does not come from a client; and it ends with it. It differs from a server in
// production in two things: whoever a client's `login_hint` names is signed in, and
// whatever a client asks for is consented to.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { REDIRECT_URI, secretOf } from './oauth.mjs';

const { port, keys } = JSON.parse(process.argv[2]);

const SCOPES = [
  'records:get_record', 'records:search_records', 'records:get_revenue_data', 'crm.write', 'crm.delete',
];

/** How long a token lives that is to expire during the test, in seconds: enough to be used first. */
const SHORT = 5;

/** A program that acts for itself. */
const machine = (id, rest = {}) => ({
  client_id: id,
  client_secret: secretOf(id),
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  ...rest,
});

/** A program on somebody's computer, which acts for them. */
const desktop = (id, rest = {}) => ({
  client_id: id,
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [REDIRECT_URI],
  ...rest,
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys },
  cookies: { keys: ['signs cookies'] },
  clients: [
    machine('reporting'),
    machine('billing'),
    machine('ps256', { token_algorithm: 'PS256' }),
    machine('es256', { token_algorithm: 'ES256' }),
    machine('eddsa', { token_algorithm: 'EdDSA' }),
    machine('hasty', { token_lifetime: SHORT }),
    machine('opaque', { token_format: 'opaque' }),
    // Who asks about opaque tokens.
    machine('bulkhead', { grant_types: [] }),
    desktop('desktop'),
    desktop('mayfly', { token_lifetime: SHORT }),
    desktop('delegated', { token_claims: { act: { sub: 'assistant' }, tenant: 'acme' } }),
  ],
  extraClientMetadata: { properties: ['token_algorithm', 'token_lifetime', 'token_format', 'token_claims'] },
  scopes: ['offline_access', ...SCOPES],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  extraTokenClaims: (_, token) => token.client?.token_claims,
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    // As clients that are known by their metadata's URL are called.
    registration: { enabled: true, idFactory: () => `https://clients.example/${randomUUID()}` },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource, client) => ({
        audience: resource,
        scope: SCOPES.join(' '),
        accessTokenFormat: client.token_format ?? 'jwt',
        accessTokenTTL: client.token_lifetime ?? 3600,
        jwt: { sign: { alg: client.token_algorithm ?? 'RS256' } },
      }),
    },
  },
});

/** Signs in whom `login_hint` names, and consents to all that is asked for. */
async function interact(request, response) {
  const { prompt, params } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
  }
  const grant = new provider.Grant({ accountId: params.login_hint, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  grant.addResourceScope(params.resource, params.scope);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

const serve = provider.callback();
const server = createServer((request, response) => {
  if (['/jwks', '/token/introspection'].includes(request.url)) process.send(request.url);
  if (!request.url.startsWith('/interaction/')) return serve(request, response);
  interact(request, response).catch((error) => {
    response.writeHead(500).end(String(error));
  });
});
server.listen(port, '127.0.0.1', () => process.send('ready'));
process.on('disconnect', () => process.exit());
