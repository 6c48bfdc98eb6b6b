// --- bytes and text ---------------------------------------------------------

function concat(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}

const utf8 = (s) => new TextEncoder().encode(s);
const text = (b) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(b);
const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

function toBase64(b) {
  let s = "";
  for (const x of b) s += String.fromCharCode(x);
  return btoa(s);
}

// fromBase64 refuses every spelling but the one that toBase64 gives.
function fromBase64(s) {
  let raw;
  try {
    raw = Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  } catch {
    throw new Error("not base64");
  }
  if (toBase64(raw) !== s) throw new Error("not base64 in canonical form");
  return raw;
}

// --- signed notes, checkpoints, proofs --------------------------------------

function parseKey(line) {
  const at = line.indexOf("+");
  const name = line.slice(0, at), id = line.slice(at + 1, at + 9), rest = line.slice(at + 10);
  if (at < 1 || !/^[0-9a-f]{8}$/.test(id) || line[at + 9] !== "+") throw new Error("not a verifier key");
  const raw = fromBase64(rest);
  if (raw.length !== 33 || raw[0] !== 1) throw new Error("not an Ed25519 verifier key");
  if (hex(sha256(concat(utf8(name + "\n"), raw)).subarray(0, 4)) !== id) throw new Error("a verifier key with another hash than it says");
  return { name, id, line, key: raw.subarray(1) };
}

// parseKeys reads a list of keys, or the trust file that `caregate audit trust`
// writes. Checkpoints are those seen earlier.
function parseKeys(input) {
  const trimmed = input.trim();
  if (trimmed.startsWith("{")) {
    const logs = JSON.parse(trimmed).logs;
    return { keys: logs.flatMap((l) => l.keys.map(parseKey)), checkpoints: logs.flatMap((l) => l.checkpoints) };
  }
  const lines = trimmed.split("\n").map((l) => l.trim()).filter((l) => l !== "" && !l.startsWith("#"));
  return { keys: lines.map(parseKey), checkpoints: [] };
}

// openCheckpoint checks a signed checkpoint: every signature must be by a known
// key of the log itself.
function openCheckpoint(note, keys) {
  const cut = note.indexOf("\n\n");
  if (cut < 0) throw new Error("not a signed checkpoint");
  const body = note.slice(0, cut + 1);
  const lines = body.split("\n");
  if (lines.length !== 4 || !/^[1-9][0-9]{0,15}$/.test(lines[1])) throw new Error("not a checkpoint");
  const root = fromBase64(lines[2]);
  if (root.length !== 32) throw new Error("not a checkpoint");
  const signatures = note.slice(cut + 2).split("\n");
  if (signatures.pop() !== "" || signatures.length === 0) throw new Error("the checkpoint has no signature");
  const seen = new Set();
  for (const line of signatures) {
    const m = /^— ([^ ]+) ([^ ]+)$/.exec(line);
    if (m === null) throw new Error("not a signature line");
    const raw = fromBase64(m[2]);
    const key = keys.find((k) => k.name === m[1] && k.id === hex(raw.subarray(0, 4)));
    if (key === undefined) throw new Error("the checkpoint is signed by a key that is not trusted");
    if (key.name !== lines[0]) throw new Error("the checkpoint is signed by the key of another origin");
    if (seen.has(key.id)) throw new Error("the checkpoint is signed twice by one key");
    seen.add(key.id);
    if (!ed25519Verify(key.key, utf8(body), raw.subarray(4))) throw new Error("the checkpoint's signature is wrong");
  }
  return { origin: lines[0], size: Number(lines[1]), root, note };
}

const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));
const nodeHash = (l, r) => sha256(concat(Uint8Array.of(1), l, r));

function parseProof(proof) {
  const cut = proof.indexOf("\n\n");
  const lines = proof.slice(0, cut).split("\n");
  if (cut < 0 || lines.shift() !== "c2sp.org/tlog-proof@v1") throw new Error("not a tlog-proof");
  if (!(lines[0] ?? "").startsWith("extra ")) throw new Error("the proof does not hold its entry");
  const entry = fromBase64(lines.shift().slice(6));
  const m = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? "");
  if (m === null) throw new Error("the proof has no index");
  const path = lines.map(fromBase64);
  if (path.length > 63 || path.some((h) => h.length !== 32)) throw new Error("not a hash in the proof");
  return { entry, index: Number(m[1]), path, checkpoint: proof.slice(cut + 2) };
}

// checkInclusion is RFC 9162, section 2.1.3.2.
function checkInclusion(proof, checkpoint) {
  let at = proof.index, last = checkpoint.size - 1;
  if (at > last) throw new Error("the entry lies beyond the checkpoint");
  let hash = leafHash(proof.entry);
  for (const p of proof.path) {
    if (last === 0) throw new Error("the proof is too long");
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(p, hash);
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2);
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, p);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0 || !same(hash, checkpoint.root)) throw new Error("the entry does not lead to the checkpoint's root");
}

// checkReceipt proves one event against keys and returns it.
function checkReceipt(receipt, proofText, keys) {
  const proof = parseProof(proofText);
  const checkpoint = openCheckpoint(proof.checkpoint, keys);
  checkInclusion(proof, checkpoint);
  const leaf = JSON.parse(text(proof.entry));
  if (leaf.eid !== receipt) throw new Error("the proof is of another event");
  return { leaf, index: proof.index, checkpoint };
}

// --- the tree ---------------------------------------------------------------

const tileWidth = 256;

function tileName(level, n, width) {
  let number = String(n % 1000).padStart(3, "0");
  for (n = Math.floor(n / 1000); n > 0; n = Math.floor(n / 1000)) number = "x" + String(n % 1000).padStart(3, "0") + "/" + number;
  return "tile/" + level + "/" + number + (width < tileWidth ? ".p/" + width : "");
}

function parseBundle(data) {
  const entries = [];
  for (let at = 0; at < data.length; ) {
    const end = at + 2 + data[at] * 256 + data[at + 1];
    if (entries.length === tileWidth || at + 2 > data.length || end > data.length) throw new Error("not an entry bundle");
    entries.push(data.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

function merkleRoot(nodes) {
  if (nodes.length === 1) return nodes[0];
  let k = 1;
  while (k * 2 < nodes.length) k *= 2;
  return nodeHash(merkleRoot(nodes.slice(0, k)), merkleRoot(nodes.slice(k)));
}

// Edge is the right edge of a tree: per level the hashes of the tile that is not
// full yet. A tile that becomes full is passed to emit.
class Edge {
  constructor() {
    this.size = 0;
    this.levels = [];
  }

  async add(hash, emit) {
    let n = Math.floor(this.size / tileWidth);
    this.size++;
    for (let level = 0; ; level++) {
      const hashes = (this.levels[level] ??= []);
      hashes.push(hash);
      if (hashes.length < tileWidth) return;
      await emit(tileName(level, n, tileWidth), concat(...hashes));
      hash = merkleRoot(hashes);
      this.levels[level] = [];
      n = Math.floor(n / tileWidth);
    }
  }

  async partials(emit) {
    for (const [level, hashes] of this.levels.entries()) {
      if (hashes.length > 0) await emit(tileName(level, Math.floor(this.size / tileWidth ** (level + 1)), hashes.length), concat(...hashes));
    }
  }

  root() {
    let rest = [];
    for (const hashes of this.levels) {
      const nodes = hashes.concat(rest);
      if (nodes.length > 0) rest = [merkleRoot(nodes)];
    }
    return rest[0];
  }
}

// --- a folder of evidence ---------------------------------------------------

const maxProblems = 100;
const notChecked = "The seals of the index, the CSV file and the other columns of events.jsonl are left to `caregate audit verify --export`.";

// verifyFolder checks everything it can. files maps a name below the folder to
// {size, read()}, where read gives a promise of a Uint8Array. trust is the text of
// keys from outside; without it the key in the folder is believed, and the outcome
// is never better than "incomplete".
async function verifyFolder(files, trust, progress = async () => {}) {
  const report = { outcome: "valid", origin: "", size: 0, entries: 0, receipts: 0, gaps: [], moreGaps: 0, problems: [], unchecked: [] };
  const problem = (place, what) => {
    if (report.problems.length < maxProblems) report.problems.push(place + ": " + what);
  };
  const used = new Set(["README.txt", "verify.html", "events.csv"]);
  const read = async (name) => {
    used.add(name);
    const f = files.get(name);
    if (f === undefined) throw new Error("is missing");
    if (f.size > tileWidth * 65538) throw new Error("is too large");
    return f.read();
  };
  const attempt = async (place, work) => {
    try {
      return await work();
    } catch (e) {
      problem(place, e.message);
      return undefined;
    }
  };

  const beside = await attempt("log.pub", async () => {
    const list = text(await read("log.pub")), parsed = parseKeys(list);
    if (parsed.keys.length === 0 || new Set(parsed.keys.map((k) => k.line)).size !== parsed.keys.length) throw new Error("is not a list of verifier keys");
    if (list !== parsed.keys.map((k) => k.line + "\n").join("")) throw new Error("is not a list of verifier keys");
    return parsed;
  });
  let trusted = beside;
  if (trust.trim() !== "") {
    trusted = await attempt("the key from outside", async () => parseKeys(trust));
  } else {
    report.unchecked.push("No key from outside was given: a log replaced together with its key would pass.");
  }
  const about = await attempt("evidence.json", async () => {
    const a = JSON.parse(text(await read("evidence.json")));
    if (a.version !== 2 || !Array.isArray(a.shards) || a.shards.length === 0) throw new Error("does not describe an export that this page knows");
    return a;
  });
  if (beside === undefined || trusted === undefined || trusted.keys.length === 0 || about === undefined) return finish(report);
  const outside = trusted === beside ? { keys: [], checkpoints: [] } : trusted;
  const marks = [];
  for (const note of outside.checkpoints) {
    const mark = await attempt("a checkpoint from outside", async () => openCheckpoint(note, outside.keys));
    if (mark !== undefined) marks.push(mark);
  }
  const events = files.has("events.jsonl") ? lines(files.get("events.jsonl")) : null;
  used.add("events.jsonl");
  const streams = new Map(), checkpoints = [], usedKeys = [];
  const total = about.shards.reduce((n, s) => n + s.size, 0);
  let before, vouched = outside.keys.length === 0;

  for (const described of about.shards) {
    const shard = String(described.origin).split("/audit/")[1] ?? "";
    const tree = "tree/" + shard + "/";
    const at = (place) => (about.shards.length > 1 ? shard + ", " : "") + place;
    // A key from outside for any one shard is enough: each names the key of the next,
    // and the last checkpoint of the one before.
    let keys = outside.keys.filter((k) => k.name === described.origin);
    if (keys.length > 0) vouched = true;
    else keys = beside.keys.filter((k) => k.name === described.origin);
    const cp = await attempt(tree + "checkpoint", async () => openCheckpoint(text(await read(tree + "checkpoint")), keys));
    if (cp === undefined) return finish(report);
    if (described.origin !== cp.origin || described.size !== cp.size || (before !== undefined && before.origin >= cp.origin)) {
      problem("evidence.json", "describes another log than the checkpoint");
      return finish(report);
    }
    Object.assign(report, { origin: cp.origin, size: report.size + cp.size });
    checkpoints.push(cp);
    usedKeys.push(...keys);
    const own = marks.filter((m) => m.origin === cp.origin);
    for (const m of own) if (m.size > cp.size) problem("a checkpoint from outside", "covers more than the log: it was set back to an older state");

    const state = { origin: cp.origin, keys, before, next: undefined };
    const edge = new Edge();
    const compare = (name, want) => attempt(tree + name, async () => {
      if (!same(await read(tree + name), want)) throw new Error("does not follow from the entries");
    });
    while (edge.size < cp.size) {
      const width = Math.min(tileWidth, cp.size - edge.size);
      const name = tree + tileName("entries", edge.size / tileWidth, width);
      const entries = await attempt(name, async () => parseBundle(await read(name)));
      if (entries === undefined) return finish(report);
      if (entries.length !== width) {
        problem(name, "does not hold " + width + " entries");
        return finish(report);
      }
      for (const entry of entries) {
        const hash = leafHash(entry), place = at("entry " + edge.size);
        await attempt(place, async () => {
          const leaf = checkLeaf(entry, hash, edge.size, state, streams);
          if (leaf.type === "log.gap") takeGap(report, leaf, place);
        });
        if (events !== null) await attempt("events.jsonl, " + place, async () => checkEvent(await events.next(), entry, edge.size));
        await edge.add(hash, compare);
        report.entries++;
        for (const m of own) if (m.size === edge.size && !same(edge.root(), m.root)) problem("a checkpoint from outside", "is not on this history");
      }
      await progress(report.entries / total);
    }
    await edge.partials(compare);
    if (!same(edge.root(), cp.root)) problem(at("checkpoint"), "the entries do not have the root that was signed");
    if (described !== about.shards.at(-1) && state.next === undefined) problem(shard, "does not end with a leaf that names the next: its end is missing");
    before = { origin: cp.origin, size: cp.size, root: hex(cp.root), note: cp.note, next: state.next };
  }
  if (!vouched) problem("log.pub", "no shard of the log is signed with a trusted key");
  for (const k of beside.keys) {
    const known = outside.keys.filter((t) => t.name === k.name);
    if (known.length > 0 ? !known.some((t) => t.line === k.line) : !usedKeys.some((u) => u.line === k.line)) problem("log.pub", "holds a key that is not trusted");
  }
  for (const m of marks) {
    if (checkpoints.some((cp) => cp.origin === m.origin)) continue;
    if (m.origin.split("/audit/")[0] !== report.origin.split("/audit/")[0]) report.unchecked.push("A checkpoint from outside belongs to another log.");
    else if (m.origin > report.origin) problem("a checkpoint from outside", "is of a later shard: the log was set back to an older state");
    else problem("a checkpoint from outside", "is of a shard that the log does not have");
  }
  if (events === null) problem("events.jsonl", "is missing");
  else await attempt("events.jsonl", async () => {
    if (!(await events.next()).done) throw new Error("holds more than the entries");
  });
  for (const name of files.keys()) {
    const m = /^receipts\/([0-9a-f]{32})\.tlog-proof$/.exec(name);
    if (m !== null) {
      await attempt(name, async () => {
        const r = checkReceipt(m[1], text(await read(name)), usedKeys);
        if (!checkpoints.some((cp) => cp.note === r.checkpoint.note)) throw new Error("leads to another checkpoint");
        report.receipts++;
      });
    } else if (!used.has(name)) {
      problem(name, "does not belong to the evidence");
    }
  }
  report.unchecked.push(notChecked);
  return finish(report);
}

function finish(report) {
  // What a page cannot check at all is told and does not change the outcome.
  if (report.problems.length > 0) report.outcome = "invalid";
  else if (report.unchecked.some((u) => u !== notChecked)) report.outcome = "incomplete";
  return report;
}

// checkLeaf holds a leaf against the one before of its node, and the first and last of
// a shard against the shards beside it.
function checkLeaf(entry, hash, index, shard, streams) {
  const leaf = JSON.parse(text(entry));
  if (leaf.v !== 1) throw new Error("is of another version");
  if (shard.next !== undefined) throw new Error("stands behind the end of its shard");
  const last = streams.get(leaf.node) ?? { epoch: 0, nseq: 0, hash: new Uint8Array(32) };
  const next = leaf.epoch === last.epoch ? leaf.nseq === last.nseq + 1 : leaf.epoch > last.epoch && leaf.nseq === 1;
  const follows = next && leaf.prev === hex(last.hash);
  streams.set(leaf.node, { epoch: leaf.epoch, nseq: leaf.nseq, hash });
  if (index === 0) checkFirst(leaf.type, leaf.attrs ?? {}, shard);
  else if (leaf.type === "log.genesis" || leaf.type === "shard.opened") throw new Error("the genesis leaf is not the first");
  if (leaf.type === "shard.closed") shard.next = { origin: leaf.attrs.next, key: leaf.attrs.next_key };
  if (!follows) throw new Error("does not follow the leaf before of its node");
  return leaf;
}

// --- gaps -------------------------------------------------------------------

const maxGaps = 1000;

// takeGap notes what a log.gap leaf says the log does not know: a valid log may say
// so, and whoever reads "valid" must see it.
function takeGap(report, leaf, place) {
  if (report.gaps.length === maxGaps) {
    report.moreGaps++;
    return;
  }
  const attrs = leaf.attrs ?? {};
  const time = (name) => {
    if (attrs[name] === undefined) return "";
    if (!/^(0|[1-9][0-9]{0,14})$/.test(attrs[name])) throw new Error("the leaf of a gap has no readable " + name);
    return new Date(Number(attrs[name])).toISOString();
  };
  const gap = { id: leaf.eid, place, cause: attrs.cause ?? "", from: time("from"), to: time("to"), passed: [] };
  for (const r of attrs.routes === undefined ? [] : JSON.parse(attrs.routes)) {
    gap.passed.push("route " + r.route + ": " + r.requests + " requests forwarded, " + r.responses + " answers released, " + r.refused + " calls refused without an event, as far as known");
  }
  for (const [name, counts] of Object.entries(leaf.rel ?? {})) {
    const parts = Object.entries({ clear: "in the clear", masked: "masked", tokenized: "tokenized", dropped: "dropped", unread: "not inspected" }).filter(([k]) => counts[k] > 0);
    gap.passed.push(name + ": " + parts.map(([k, words]) => counts[k] + " " + words).join(", "));
  }
  for (const [name, value] of Object.entries(attrs)) {
    if (!["cause", "from", "last", "to", "routes", "details"].includes(name)) gap.passed.push(name + ": " + value);
  }
  report.gaps.push(gap);
}

function checkFirst(type, attrs, shard) {
  const before = shard.before;
  if (attrs.origin !== shard.origin) throw new Error("names another origin");
  if (!shard.keys.some((k) => k.line === attrs.key)) throw new Error("names another key than the checkpoint is signed with");
  if (before === undefined) {
    if (type === "shard.opened") throw new Error("follows a shard that is missing");
    if (type !== "log.genesis") throw new Error("the genesis leaf is not the first");
    return;
  }
  if (type !== "shard.opened" || attrs.prev_origin !== before.origin || attrs.prev_size !== String(before.size) || attrs.prev_root !== before.root || attrs.prev_checkpoint !== before.note)
    throw new Error("names another end of the shard before");
  if (before.next === undefined || before.next.origin !== shard.origin || before.next.key !== attrs.key) throw new Error("is not the shard that the one before names as the next");
}

function checkEvent(line, entry, index) {
  if (line.done) throw new Error("is missing");
  const event = JSON.parse(line.value);
  if (event.raw_data !== text(entry) || event.metadata.sequence !== index) throw new Error("is not the event of the entry");
}

// lines reads a file of lines piece by piece.
async function* lines(file) {
  const piece = 4 << 20;
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = "";
  for (let at = 0; at < file.size; at += piece) {
    const got = (rest + decoder.decode(await file.read(at, at + piece), { stream: true })).split("\n");
    rest = got.pop();
    if (rest.length > 1 << 20) throw new Error("has a line that is too long");
    yield* got;
  }
  if (rest !== "") throw new Error("does not end with a newline");
}

// --- the page ---------------------------------------------------------------

function start() {
  const $ = (id) => document.getElementById(id);
  const put = (parent, tag, content) => {
    const e = document.createElement(tag);
    e.textContent = content;
    parent.append(e);
    return e;
  };
  const data = JSON.parse($("evidence").textContent);
  const trust = () => $("trust").value;

  const receipts = () => {
    const body = $("receipts");
    body.replaceChildren();
    let wrong = 0, left = 0, state;
    try {
      const keys = parseKeys(trust().trim() === "" ? data.keys : trust()).keys;
      // What is signed with a key that nobody gave is for the check of the folder.
      const given = (note) => keys.some((k) => k.name === note.split("\n", 1)[0]);
      const notes = data.checkpoints.filter(given);
      if (notes.length === 0) throw new Error("no checkpoint is signed with a trusted key");
      const cp = notes.map((note) => openCheckpoint(note, keys)).at(-1);
      $("log").textContent = cp.origin + ", " + cp.size + " entries, root " + hex(cp.root);
      state = notes.length > 1 ? "The signatures of the checkpoints are right" : "The signature of the checkpoint is right";
      for (const [id, proof] of Object.entries(data.receipts)) {
        const row = body.insertRow();
        try {
          if (!given(parseProof(proof).checkpoint)) {
            left++;
            for (const cell of [id, "", "", "", "", "", "choose the folder: no key for this half year was given"]) put(row, "td", cell);
            continue;
          }
          const { leaf, index } = checkReceipt(id, proof, keys);
          for (const cell of [id, index, new Date(leaf.wall).toISOString(), leaf.type, [leaf.chan, leaf.op].filter(Boolean).join(" "), leaf.decision ?? "", "proven"]) put(row, "td", cell);
        } catch (e) {
          wrong++;
          for (const cell of [id, "", "", "", "", "", "NOT proven: " + e.message]) put(row, "td", cell);
        }
      }
      const count = Object.keys(data.receipts).length;
      state += count === 0 ? "." : wrong === 0 ? ", and so are the proofs of " + (left === 0 ? "all " : "") + (count - left) + " receipts." : ", but the proofs of " + wrong + " of " + count + " receipts are WRONG.";
      if (notes.length < data.checkpoints.length) state += " Other half years are signed with keys that you did not give; choose the folder, whose entries vouch for them.";
      if (trust().trim() === "") state += " The key beside the log was believed; give the one you hold to know more.";
    } catch (e) {
      wrong++;
      state = "WRONG: " + e.message;
    }
    $("first").textContent = state;
    document.body.dataset.first = wrong === 0 ? "right" : "wrong";
  };

  const folder = async () => {
    const out = $("result");
    out.replaceChildren();
    document.body.dataset.outcome = "";
    const files = new Map();
    for (const f of $("folder").files) {
      const name = f.webkitRelativePath.split("/").slice(1).join("/");
      files.set(name, { size: f.size, read: async (a = 0, b = f.size) => new Uint8Array(await f.slice(a, b).arrayBuffer()) });
    }
    if (files.size === 0) return;
    const report = await verifyFolder(files, trust(), async (part) => {
      $("progress").value = part;
      await new Promise((next) => setTimeout(next));
    });
    const words = { valid: "Valid", invalid: "INVALID", incomplete: "Right as far as it could be checked" };
    const count = report.gaps.length + report.moreGaps;
    put(out, "p", words[report.outcome] + (count === 0 ? "" : ", with " + count + (count === 1 ? " gap" : " gaps")) + ": " + report.entries + " of " + report.size + " entries of " + report.origin + " read, " + report.receipts + " receipts proven.");
    const list = put(out, "ul", "");
    for (const p of report.problems) put(list, "li", p);
    for (const u of report.unchecked) put(list, "li", "Not checked: " + u);
    if (count > 0) {
      put(out, "p", "What the log says of itself that it does not know. Times are the gateway's clock, a claim.");
      const gaps = put(out, "ul", "");
      gaps.id = "gaps";
      for (const g of report.gaps) {
        const item = put(gaps, "li", "Gap " + g.id + " (" + g.place + "), " + g.cause + ": from " + (g.from || "-") + " to " + (g.to || "-"));
        if (g.passed.length === 0) continue;
        const passed = put(item, "ul", "");
        for (const p of g.passed) put(passed, "li", p);
      }
      if (report.moreGaps > 0) put(gaps, "li", "and " + report.moreGaps + " more");
    }
    document.body.dataset.outcome = report.outcome;
  };

  $("trust").addEventListener("input", () => { receipts(); folder(); });
  $("folder").addEventListener("change", folder);
  receipts();
}

if (typeof document !== "undefined") start();
if (typeof module !== "undefined") module.exports = { sha256, sha512, ed25519Verify, parseKeys, openCheckpoint, checkReceipt, verifyFolder };
