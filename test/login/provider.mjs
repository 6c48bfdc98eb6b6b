// Plays the identity provider for the Go test in this folder: reads one command per line
// from stdin, writes one result per line to stdout. The provider is the library
// oidc-provider; of ours are the form in which people log in and who they are.
//
// Commands: {"listen": "127.0.0.1:1234", "client": {...}}   begin, as an issuer of this address
//           {"close": true}, {"open": true}                 go away, come back
//           {"rotate": true}                                sign with another key from now on
// Result:   {"issuer": "http://..."}
import http from 'node:http';
import {generateKeyPairSync} from 'node:crypto';
import readline from 'node:readline';
import Provider from 'oidc-provider';

// People by the name that they type. Whoever types a code has a second factor.
const people = {
  ada: {email: 'ada@example.com', email_verified: true, groups: ['desk-agents']},
  root: {email: 'root@example.com', email_verified: true, groups: ['platform']},
  mallory: {email: 'mallory@example.com', email_verified: true, groups: ['visitors']},
};

let provider, server, issuer, client, generation = 0;

function make() {
  const {privateKey} = generateKeyPairSync('ec', {namedCurve: 'P-256'});
  const key = {...privateKey.export({format: 'jwk'}), kid: `key-${++generation}`, use: 'sig', alg: 'ES256'};
  provider = new Provider(issuer, {
    clients: [{...client, id_token_signed_response_alg: 'ES256'}],
    jwks: {keys: [key]},
    cookies: {keys: ['of-the-test']},
    claims: {openid: ['sub', 'amr'], email: ['email', 'email_verified'], groups: ['groups'], acr: null, auth_time: null},
    scopes: ['openid', 'email', 'groups'],
    acrValues: ['two-factors'],
    conformIdTokenClaims: false,
    pkce: {required: () => true},
    features: {devInteractions: {enabled: false}},
    interactions: {url: (_, interaction) => `/interaction/${interaction.uid}`},
    ttl: {Session: 3600, Grant: 3600, Interaction: 600, AccessToken: 60, AuthorizationCode: 60, IdToken: 60},
    findAccount: (_, id) => ({accountId: id, claims: () => ({sub: id, ...people[id]})}),
    // Nobody is asked whether the gateway may know who they are.
    loadExistingGrant: async (ctx) => {
      const id = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
      if (id) {
        return ctx.oidc.provider.Grant.find(id);
      }
      const grant = new ctx.oidc.provider.Grant({clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId});
      grant.addOIDCScope('openid email groups');
      await grant.save();
      return grant;
    },
  });
  provider.on('server_error', (_, error) => console.error(error));
}

async function page(req, res) {
  const form = /^\/interaction\/([A-Za-z0-9_-]+)$/.exec(req.url);
  if (!form) {
    return provider.callback()(req, res);
  }
  if (req.method === 'GET') {
    res.setHeader('Content-Type', 'text/html');
    return res.end(`<form method="post" action="${req.url}"><input name="login"><input name="code"><button>Log in</button></form>`);
  }
  let body = '';
  for await (const chunk of req) {
    body += chunk;
  }
  const typed = new URLSearchParams(body);
  const login = typed.get('login');
  if (!people[login]) {
    return provider.interactionFinished(req, res, {error: 'access_denied', error_description: 'nobody of this name'}, {mergeWithLastSubmission: false});
  }
  const second = typed.get('code') !== '';
  return provider.interactionFinished(req, res, {
    login: {accountId: login, amr: second ? ['pwd', 'otp'] : ['pwd'], acr: second ? 'two-factors' : undefined},
  }, {mergeWithLastSubmission: false});
}

function open() {
  const {hostname, port} = new URL(issuer);
  server = http.createServer((req, res) => page(req, res).catch((error) => {
    console.error(error);
    res.statusCode = 500;
    res.end();
  }));
  return new Promise((done) => server.listen(Number(port), hostname, done));
}

async function run(command) {
  if (command.listen) {
    issuer = `http://${command.listen}`;
    client = command.client;
    make();
    await open();
  } else if (command.close) {
    await new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    });
  } else if (command.open) {
    await open();
  } else if (command.rotate) {
    make();
  }
  return {issuer};
}

for await (const line of readline.createInterface({input: process.stdin})) {
  process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
}
process.exit(0);
