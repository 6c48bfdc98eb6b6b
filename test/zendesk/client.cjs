// Drives node-zendesk for the Go test in this folder: reads one command per line
// from stdin, writes one result per line to stdout. It tells no story and checks
// nothing; what is called with what, and what must come of it, stands in Go.
//
// Command: {"options": {...createClient's}, "call": "tickets.create", "args": [...]}
//   A call is a resource and a method of the library, or "get" for the request
//   that the library sends to an address it was given; its answer comes whole.
//   An argument {"stream": "text"} becomes a readable stream.
// Result:  {"value": ..., "error": {"message", "status"}, "answers": [...]}
//   answers are the HTTP answers that the library met on the way, from its own
//   debug events: {"method", "url", "status", "receipt", "reason", "problem"}.
'use strict';

const {Readable} = require('node:stream');
const readline = require('node:readline');
const {createClient} = require('node-zendesk');

async function run({options, call, args}) {
  const client = createClient({throwOriginalException: true, ...options});
  const [resource, method] = call === 'get' ? ['ticketexport', 'get'] : call.split('.');
  const target = client[resource];
  const answers = [];
  let asked;
  target.on('debug::request', ({detail}) => {
    asked = {method: detail.method, url: detail.uri};
  });
  target.on('debug::response', ({detail}) => {
    const answer = {
      ...asked,
      status: detail.status,
      receipt: detail.headers.get('caregate-receipt'),
      reason: detail.headers.get('caregate-error'),
    };
    answers.push(answer);
    // The library itself reads bodies of type application/json only.
    if ((detail.headers.get('content-type') ?? '').startsWith('application/problem+json')) {
      answer.problem = detail.json();
    }
  });
  const out = {};
  try {
    const value = await target[method](...args.map(a => (a && typeof a.stream === 'string' ? Readable.from([Buffer.from(a.stream)]) : a)));
    // Calls of one record give {response, result}, lists give the records.
    out.value = value && value.response && 'result' in value ? value.result : value;
  } catch (error) {
    out.error = {message: String(error.message), status: error.statusCode ?? 0};
  }
  for (const answer of answers) {
    answer.problem = await answer.problem;
  }
  out.answers = answers;
  return out;
}

async function main() {
  for await (const line of readline.createInterface({input: process.stdin})) {
    let out;
    try {
      out = await run(JSON.parse(line));
    } catch (error) {
      out = {error: {message: `the test's client failed: ${error.stack}`, status: 0}, answers: []};
    }
    process.stdout.write(`${JSON.stringify(out)}\n`);
  }
}

main();
