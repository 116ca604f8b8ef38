// Tokens that must not be accepted (RFC 8725, RFC 9068), each one change away from one
// that is. Whoever makes them has the authorization server's own key where the change is
// in what the token says, so that nothing but the change can be why it is refused.
import { createHmac, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { signingKeys } from './processes.mjs';

const encode = (value) => {
  const raw = typeof value === 'string' || Buffer.isBuffer(value);
  return Buffer.from(raw ? value : JSON.stringify(value)).toString('base64url');
};

const sha256With = (jwk, options) => (text) => {
  return sign('sha256', text, { key: createPrivateKey({ key: jwk, format: 'jwk' }), ...options });
};

/** As JWS wants it (RFC 7518 §3.3, §3.4). */
const signer = (jwk) => sha256With(jwk, jwk.kty === 'EC' ? { dsaEncoding: 'ieee-p1363' } : {});

/**
 * A token of these claims, signed with a private JWK unless `signature` does it. A header
 * or claims that are a text or bytes are taken as they are.
 */
export function mint(key, claims, header = {}, signature = signer(key)) {
  const alg = key.kty === 'EC' ? 'ES256' : 'RS256';
  const whole = typeof header === 'string' ? header : { alg, typ: 'at+jwt', kid: key.kid, ...header };
  const text = `${encode(whole)}.${encode(claims)}`;
  return `${text}.${signature(Buffer.from(text)).toString('base64url')}`;
}

/** What the authorization server says of the agent `reporting`, for an hour. */
export function honest(issuer, resource) {
  const now = Math.floor(Date.now() / 1000);
  return {
    jti: crypto.randomUUID(),
    iss: issuer.url,
    aud: resource,
    sub: 'reporting',
    client_id: 'reporting',
    scope: 'records:get_record',
    iat: now,
    exp: now + 3600,
  };
}

/** Every attack by name; `trap` is a URL at which nobody may ever ask. */
export function attacks({ issuer, server, keys }, trap) {
  const [rsa, ec] = keys;
  const [own, ownEc] = signingKeys();
  const claims = honest(issuer, server.url);
  const { iat: now } = claims;
  const text = JSON.stringify(claims);
  const spki = (format) => createPublicKey({ key: rsa, format: 'jwk' }).export({ type: 'spki', format });
  const jwk = ({ kty, n, e, kid }) => ({ kty, n, e, kid });
  const says = (changes) => mint(rsa, { ...claims, ...changes });
  const hs256 = (secret) => {
    return mint(rsa, claims, { alg: 'HS256' }, (data) => createHmac('sha256', secret).update(data).digest());
  };
  const good = mint(rsa, claims);
  const [head, body, signature] = good.split('.');

  return {
    'alg none, no signature': `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
    'alg none, the old signature': `${encode({ alg: 'none', kid: rsa.kid })}.${body}.${signature}`,
    'alg nOnE': `${encode({ alg: 'nOnE', typ: 'at+jwt', kid: rsa.kid })}.${body}.`,
    'no alg': mint(rsa, claims, { alg: undefined }),
    'HS256 with the public key as PEM': hs256(spki('pem')),
    'HS256 with the public key as DER': hs256(spki('der')),
    'HS256 with the public key as JWK': hs256(JSON.stringify(jwk(rsa))),
    'HS256 with an empty secret': hs256(''),
    'ES256 in the header, an RSA key by kid': mint(rsa, claims, { alg: 'ES256' }),
    "RS256 in the header, an EC key's kid": mint(rsa, claims, { kid: ec.kid }),
    'an ES256 signature of zeros': mint(ec, claims, {}, () => Buffer.alloc(64)),
    'an ES256 signature as DER': mint(ec, claims, {}, sha256With(ec)),
    "a stranger's RSA key under the issuer's kid": mint({ ...own, kid: rsa.kid }, claims),
    "a stranger's EC key under the issuer's kid": mint({ ...ownEc, kid: ec.kid }, claims),
    "a stranger's key, its own kid": mint(own, claims),
    "a stranger's key, no kid": mint(own, claims, { kid: undefined }),
    "a stranger's key in jwk": mint(own, claims, { jwk: jwk(own) }),
    "a stranger's key in jwk, under the issuer's kid": mint({ ...own, kid: rsa.kid }, claims, { jwk: jwk(own) }),
    "a stranger's key at jku": mint(own, claims, { jku: `${trap}/jwks` }),
    "a stranger's certificate at x5u": mint(own, claims, { x5u: `${trap}/certificate` }),
    "a stranger's certificate in x5c": mint(own, claims, { x5c: [btoa('certificate')] }),
    'kid as a path': mint(own, claims, { kid: '../../../../dev/null' }),
    'kid as a URL': mint(own, claims, { kid: `${trap}/kid` }),
    'kid as SQL': mint(own, claims, { kid: "x' UNION SELECT 'key' --" }),
    'kid as an object': mint(own, claims, { kid: { $ne: null } }),
    'kid of 8 KiB': mint(own, claims, { kid: 'k'.repeat(8192) }),
    'an unknown critical extension': mint(rsa, claims, { crit: ['exp2'], exp2: 1 }),
    'an unencoded payload (b64)': mint(rsa, claims, { crit: ['b64'], b64: false }),
    'alg twice': mint(rsa, claims, `{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"${rsa.kid}"}`),
    'another type of token': mint(rsa, claims, { typ: 'logout+jwt' }),
    "another resource's audience": says({ aud: 'https://other.example/mcp' }),
    'our audience with a slash': says({ aud: `${server.url}/` }),
    'our audience in capitals': says({ aud: server.url.toUpperCase() }),
    'an audience that begins as ours': says({ aud: `${server.url}2` }),
    'audiences without ours': says({ aud: ['https://a.example', 'https://b.example'] }),
    'no audience': says({ aud: undefined }),
    'an empty audience': says({ aud: [] }),
    'an audience that is an object': says({ aud: { url: server.url } }),
    'another issuer, our key': says({ iss: 'https://other.example' }),
    'our issuer with a slash': says({ iss: `${issuer.url}/` }),
    'no issuer': says({ iss: undefined }),
    'two issuers': says({ iss: [issuer.url, 'https://other.example'] }),
    'expired by a second': says({ exp: now - 1 }),
    'no expiry': says({ exp: undefined }),
    'an expiry that is a text': says({ exp: String(now + 3600) }),
    'an expiry beyond numbers': mint(rsa, text.replace(/"exp":\d+/, '"exp":1e999')),
    'a negative expiry': says({ exp: -1 }),
    'an expiry of null': says({ exp: null }),
    'not before the next minute': says({ nbf: now + 60 }),
    'not before a text': says({ nbf: 'yesterday' }),
    'no client and no subject': says({ sub: undefined, client_id: undefined }),
    'a client that is a number': says({ client_id: 7 }),
    'aud twice, ours last': mint(rsa, text.replace('{', '{"aud":"https://other.example",')),
    'aud twice, ours first': mint(rsa, text.replace(/}$/, ',"aud":"https://other.example"}')),
    'exp twice': mint(rsa, text.replace('{', '{"exp":1,')),
    'sub twice, once escaped': mint(rsa, text.replace('{', '{"s\\u0075b":"ann",')),
    'claims that are a list': mint(rsa, [claims]),
    'claims that are not JSON': mint(rsa, 'claims'),
    'claims that are not UTF-8': mint(rsa, Buffer.from(text.replace('reporting', '\xff'), 'latin1')),
    'claims in 500 lists': mint(rsa, text.replace('{', `{"deep":${'['.repeat(500)}${']'.repeat(500)},`)),
    'changed claims, the old signature': `${head}.${encode({ ...claims, scope: 'crm.write' })}.${signature}`,
    'no signature': `${head}.${body}.`,
    'no signature and no dot': `${head}.${body}`,
    'a truncated signature': good.slice(0, -8),
    'a padded signature': `${good}==`,
    'a fourth part': `${good}.${signature}`,
    'an encrypted token (five parts)': `${encode({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`,
    'only dots': '..',
    'an empty header': `.${body}.${signature}`,
    'a token of 27 KB': says({ padding: 'p'.repeat(20_000) }),
    'a token of 200 KB': says({ padding: 'p'.repeat(150_000) }),
  };
}
