"use strict";
// Checks a folder of evidence of a Caregate audit log: signature, entries, tree,
// receipts. It needs no network and no library, and runs the same in a browser
// and under Node. Formats: c2sp.org/signed-note, tlog-checkpoint, tlog-tiles and
// tlog-proof; hashes as in RFC 6962; Ed25519 as in RFC 8032.

// --- hashes -----------------------------------------------------------------

// The constants of SHA-2 are the first bits of the fractions of the square and
// cube roots of the first primes (FIPS 180-4), so they are computed, not listed.
const primes = [];
for (let n = 2; primes.length < 80; n++) {
  if (primes.every((p) => n % p !== 0)) primes.push(n);
}

function integerRoot(n, k) {
  let x = 1n << BigInt(Math.ceil(n.toString(2).length / Number(k)));
  for (;;) {
    const y = ((k - 1n) * x + n / x ** (k - 1n)) / k;
    if (y >= x) return x;
    x = y;
  }
}

const low64 = (1n << 64n) - 1n;
const k512 = primes.map((p) => integerRoot(BigInt(p) << 192n, 3n) & low64);
const h512 = primes.slice(0, 8).map((p) => integerRoot(BigInt(p) << 128n, 2n) & low64);
const k256 = Int32Array.from(k512.slice(0, 64), (k) => Number(k >> 32n) | 0);
const h256 = Int32Array.from(h512, (h) => Number(h >> 32n) | 0);

// pad appends what SHA-2 appends: a one, zeros, the length in bits.
function pad(data, block) {
  const tail = block / 8;
  const out = new Uint8Array(Math.ceil((data.length + 1 + tail) / block) * block);
  out.set(data);
  out[data.length] = 0x80;
  new DataView(out.buffer).setBigUint64(out.length - 8, BigInt(data.length) * 8n);
  return out;
}

function sha256(data) {
  const m = new DataView(pad(data, 64).buffer);
  const h = Int32Array.from(h256);
  const w = new Int32Array(64);
  for (let at = 0; at < m.byteLength; at += 64) {
    for (let i = 0; i < 16; i++) w[i] = m.getInt32(at + 4 * i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
    }
    let [a, b, c, d, e, f, g, l] = h;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (l + s1 + ((e & f) ^ (~e & g)) + k256[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      l = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    const now = [a, b, c, d, e, f, g, l];
    for (let i = 0; i < 8; i++) h[i] = (h[i] + now[i]) | 0;
  }
  const out = new DataView(new ArrayBuffer(32));
  h.forEach((x, i) => out.setInt32(4 * i, x));
  return new Uint8Array(out.buffer);
}

function sha512(data) {
  const m = new DataView(pad(data, 128).buffer);
  const h = h512.slice();
  const w = [];
  const turn = (x, n) => (x >> n) | ((x << (64n - n)) & low64);
  for (let at = 0; at < m.byteLength; at += 128) {
    for (let i = 0; i < 16; i++) w[i] = m.getBigUint64(at + 8 * i);
    for (let i = 16; i < 80; i++) {
      const x = w[i - 15], y = w[i - 2];
      const s0 = turn(x, 1n) ^ turn(x, 8n) ^ (x >> 7n);
      const s1 = turn(y, 19n) ^ turn(y, 61n) ^ (y >> 6n);
      w[i] = (w[i - 16] + s0 + w[i - 7] + s1) & low64;
    }
    let [a, b, c, d, e, f, g, l] = h;
    for (let i = 0; i < 80; i++) {
      const s1 = turn(e, 14n) ^ turn(e, 18n) ^ turn(e, 41n);
      const t1 = l + s1 + ((e & f) ^ (~e & low64 & g)) + k512[i] + w[i];
      const s0 = turn(a, 28n) ^ turn(a, 34n) ^ turn(a, 39n);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      l = g; g = f; f = e; e = (d + t1) & low64; d = c; c = b; b = a; a = (t1 + t2) & low64;
    }
    [a, b, c, d, e, f, g, l].forEach((x, i) => { h[i] = (h[i] + x) & low64; });
  }
  const out = new DataView(new ArrayBuffer(64));
  h.forEach((x, i) => out.setBigUint64(8 * i, x));
  return new Uint8Array(out.buffer);
}

// --- Ed25519, verification only ---------------------------------------------

const prime = (1n << 255n) - 19n;
const order = (1n << 252n) + 27742317777372353535851937790883648493n;
const mod = (x) => ((x % prime) + prime) % prime;

function power(x, e) {
  let r = 1n;
  for (x = mod(x); e > 0n; e >>= 1n, x = mod(x * x)) if (e & 1n) r = mod(r * x);
  return r;
}
const inverse = (x) => power(x, prime - 2n);
const curveD = mod(-121665n * inverse(121666n));
const rootOfMinusOne = power(2n, (prime - 1n) / 4n);

function littleEndian(bytes) {
  let n = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) n = (n << 8n) | BigInt(bytes[i]);
  return n;
}

// A point is [X, Y, Z, T] with x = X/Z, y = Y/Z, T = XY/Z.
function pointFrom(bytes) {
  const n = littleEndian(bytes);
  const y = n & ((1n << 255n) - 1n);
  const u = mod(y * y - 1n), v = mod(curveD * y * y + 1n);
  let x = mod(u * power(v, 3n) * power(u * power(v, 7n), (prime - 5n) / 8n));
  if (mod(v * x * x) !== u) x = mod(x * rootOfMinusOne);
  if (mod(v * x * x) !== u) return null;
  if ((x & 1n) !== n >> 255n) x = mod(-x);
  return [x, mod(y), 1n, mod(x * y)];
}

function add(p, q) {
  const a = mod((p[1] - p[0]) * (q[1] - q[0])), b = mod((p[1] + p[0]) * (q[1] + q[0]));
  const c = mod(2n * p[3] * q[3] * curveD), d = mod(2n * p[2] * q[2]);
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function times(p, n) {
  let r = [0n, 1n, 1n, 0n];
  for (; n > 0n; n >>= 1n, p = add(p, p)) if (n & 1n) r = add(r, p);
  return r;
}

const base = (() => {
  const y = mod(4n * inverse(5n));
  const bytes = new Uint8Array(32);
  for (let i = 0, n = y; i < 32; i++, n >>= 8n) bytes[i] = Number(n & 255n);
  return pointFrom(bytes); // the base point's x is even
})();

function ed25519Verify(key, message, signature) {
  if (key.length !== 32 || signature.length !== 64) return false;
  const a = pointFrom(key);
  const s = littleEndian(signature.subarray(32));
  if (a === null || s >= order) return false;
  const r = signature.subarray(0, 32);
  const k = littleEndian(sha512(concat(r, key, message))) % order;
  const [x, y, z] = add(times(base, s), times([mod(-a[0]), a[1], a[2], mod(-a[3])], k));
  const i = inverse(z);
  const got = mod(y * i) | ((mod(x * i) & 1n) << 255n);
  return got === littleEndian(r);
}

