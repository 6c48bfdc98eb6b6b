// Plays a vendor's OAuth server for the Go test in this folder: reads one command per line
// from stdin, writes one result per line to stdout. The server is the library oidc-provider.
//
// Commands: {"listen": "127.0.0.1:1234", "client": {...}, "life": 5}   begin; access tokens live for so many seconds
//           {"authorize": true}                                       a first refresh token, as if somebody had agreed
//           {"find": "token"}                                         what the token is
//           {"revoke": true}                                          take the agreement back
// Result:   {"refresh": "...", "kind": "AccessToken"}
import http from 'node:http';
import {generateKeyPairSync} from 'node:crypto';
import readline from 'node:readline';
import Provider from 'oidc-provider';

console.info = console.error; // what the library says of itself is no answer
console.warn = console.error;

let provider, grant, id;

async function run(command) {
  if (command.listen) {
    id = command.client.client_id;
    provider = new Provider(`http://${command.listen}`, {
      clients: [{...command.client, id_token_signed_response_alg: 'ES256'}],
      jwks: {keys: [{...generateKeyPairSync('ec', {namedCurve: 'P-256'}).privateKey.export({format: 'jwk'}), kid: 'key', use: 'sig', alg: 'ES256'}]},
      cookies: {keys: ['of-the-test']},
      features: {devInteractions: {enabled: false}, clientCredentials: {enabled: true}},
      rotateRefreshToken: true,
      ttl: {AccessToken: command.life, ClientCredentials: command.life, RefreshToken: 3600, Grant: 3600},
      findAccount: (_, account) => ({accountId: account, claims: () => ({sub: account})}),
    });
    provider.on('server_error', (_, error) => console.error(error));
    const {hostname, port} = new URL(`http://${command.listen}`);
    await new Promise((done) => http.createServer(provider.callback()).listen(Number(port), hostname, done));
  } else if (command.authorize) {
    grant = new provider.Grant({clientId: id, accountId: 'admin'});
    grant.addOIDCScope('openid offline_access');
    const grantId = await grant.save();
    const token = new provider.RefreshToken({
      accountId: 'admin', client: await provider.Client.find(id), grantId, gty: 'authorization_code', scope: 'openid offline_access',
      rotations: 0, iiat: Math.floor(Date.now() / 1000), authTime: Math.floor(Date.now() / 1000),
    });
    return {refresh: await token.save()};
  } else if (command.find) {
    const token = await provider.AccessToken.find(command.find) ?? await provider.ClientCredentials.find(command.find);
    return {kind: token ? token.kind : ''};
  } else if (command.revoke) {
    await provider.RefreshToken.revokeByGrantId(grant.jti);
    await provider.AccessToken.revokeByGrantId(grant.jti);
    await grant.destroy();
  }
  return {};
}

for await (const line of readline.createInterface({input: process.stdin})) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
}
process.exit(0);
