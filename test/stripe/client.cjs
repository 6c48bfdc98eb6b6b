// Drives Stripe's library for the Go test in this folder: reads one command per line
// from stdin, writes one result per line to stdout. It tells no story and checks
// nothing; what is called with what, and what must come of it, stands in Go.
//
// Command: {"host", "port", "headers": {...}, "call": "refunds.create", "args": [...]}
//   headers are what a support tool adds to each call for the gateway: the library
//   takes a fetch function of the program's own for that.
// Result:  {"value": ..., "error": {"type", "code", "message", "status"}, "keys": [...]}
//   keys are the idempotency keys that the library sent, one for each request.
'use strict';

const readline = require('node:readline');
const Stripe = require('stripe');

async function run({host, port, headers, call, args}) {
  const keys = [];
  const fetchFn = (url, init) => {
    const sent = new Headers(init.headers);
    keys.push(sent.get('Idempotency-Key') ?? '');
    for (const [name, value] of Object.entries(headers)) {
      sent.set(name, value);
    }
    return fetch(url, {...init, headers: sent});
  };
  const client = new Stripe('sk_test_sample', {
    host, port, protocol: 'http', httpClient: Stripe.createFetchHttpClient(fetchFn), telemetry: false,
  });
  const [resource, method] = call.split('.');
  const out = {keys};
  try {
    out.value = await client[resource][method](...args);
  } catch (error) {
    out.error = {type: error.type ?? error.name, code: error.code ?? '', message: String(error.message), status: error.statusCode ?? 0};
  }
  return out;
}

async function main() {
  for await (const line of readline.createInterface({input: process.stdin})) {
    process.stdout.write(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
  }
}

main();
