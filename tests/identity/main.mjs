// Runs every check against the real binary, and ends with how many passed.
//
//   node main.mjs BULKHEAD FOLDER
//
// FOLDER holds `plugins`, with the plugin `records`; it gets everything else.
import { checks } from './checks.mjs';
import { clientCredentials } from './oauth.mjs';
import { Bulkhead, freePort, Issuer, signingKeys } from './processes.mjs';

const [binary, folder] = process.argv.slice(2);
const [port, health, issuerPort] = [await freePort(), await freePort(), await freePort()];

const issuer = new Issuer(issuerPort, `${folder}/issuer.log`);
const server = new Bulkhead(binary, folder, port, health, `
[server]
listen = "127.0.0.1:${port}"
public_url = "http://127.0.0.1:${port}/mcp"

[health]
listen = "127.0.0.1:${health}"

[plugins]
dir = "plugins"

[state]
dir = "state"

[telemetry]
log = "debug"

[auth]
scopes_supported = ["records:get_record"]

[[auth.issuers]]
issuer = "${issuer.url}"
leeway = "0s"
tenant_claim = "tenant"

[auth.issuers.introspection]
url = "${issuer.url}/token/introspection"
client_id = "bulkhead"
client_secret_env = "ISSUER_SECRET"
cache = "5s"

[agents.reporting]
clients = ["ps256", "es256", "eddsa", "hasty", "opaque"]
scopes = ["records:*", "crm.write", "crm.delete"]

[agents.billing]
scopes = ["records:*"]

[agents.desktop]
clients = ["mayfly"]
scopes = ["records:*", "crm.write", "crm.delete"]

[agents.assistant]
scopes = ["records:get_record"]
`);
const world = {
  server,
  issuer,
  keys: signingKeys(),
  tokens: [],
  async token(id, scope, resource = server.url) {
    const token = await clientCredentials(issuer.url, id, resource, scope);
    this.tokens.push(token);
    return token;
  },
};

await server.start();
let [passed, failed] = [0, 0];
for (const [what, check] of Object.entries(checks)) {
  try {
    await check(world);
    console.log(`ok: ${what}`);
    passed += 1;
  } catch (error) {
    console.log(`FAILED: ${what}\n${error.stack}`);
    failed += 1;
  }
}
await Promise.all([issuer.stop(), server.stop()]);
if (failed) console.log(server.log());
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed && 1);
