// Strict I-JSON (RFC 7493) on bytes, and its RFC 8785 form. JSON.parse will not
// do: it takes the last of two members of one name, rounds numbers without a
// word, and lets lone surrogates and U+0000 pass. Values keep the offsets of
// their bytes, so that a fault, or a changed byte, can be named by its place.

export const maxBytes = 1 << 20;
export const maxDepth = 32; // nested objects and arrays; a scalar has depth 0

const strictUTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

export const encode = (text) => utf8.encode(text);

// decode returns the text of UTF-8 bytes, or undefined if they are none.
export function decode(bytes) {
  try {
    return strictUTF8.decode(bytes);
  } catch {
    return undefined;
  }
}

// latin1 shows any bytes as characters, one for each: for comparing and showing.
export function latin1(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) {
    text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  }
  return text;
}

export function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export class JSONError extends Error {
  constructor(reason, offset, pointer) {
    super(reason);
    this.offset = offset;
    this.pointer = pointer;
    this.duplicate = false;
  }
}

// parse reads one value. Nodes are {type, start, end} and value, items or members.
export function parse(bytes) {
  if (bytes.length > maxBytes) {
    throw new JSONError(`${bytes.length} bytes, over the limit of ${maxBytes}`, 0, "");
  }
  const reader = new Reader(bytes);
  reader.space();
  const node = reader.value(maxDepth);
  reader.space();
  if (reader.at < bytes.length) reader.fail("there is data behind the value");
  return node;
}

const code = (c) => c.charCodeAt(0);
const isDigit = (c) => c >= 0x30 && c <= 0x39;
const escapes = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const literals = { t: ["true", true], f: ["false", false], n: ["null", null] };

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.path = [];
  }

  fail(reason, offset = this.at) {
    throw new JSONError(reason, offset, pointer(this.path));
  }

  space() {
    while ([0x20, 0x09, 0x0a, 0x0d].includes(this.bytes[this.at])) this.at++;
  }

  take(c) {
    if (this.bytes[this.at] !== code(c)) return false;
    this.at++;
    return true;
  }

  need(c) {
    if (!this.take(c)) this.fail(`expected ${c}, found ${excerpt(this.bytes, this.at)}`);
  }

  value(depth) {
    const start = this.at;
    const c = this.bytes[start];
    let node;
    if (c === code("{") || c === code("[")) {
      if (depth === 0) this.fail(`nested deeper than ${maxDepth} levels`);
      node = c === code("{") ? this.object(depth - 1) : this.array(depth - 1);
    } else if (c === code('"')) {
      node = { type: "string", value: this.string() };
    } else if (c === code("-") || isDigit(c)) {
      node = { type: "number", value: this.number() };
    } else {
      const [text, value] = literals[String.fromCharCode(c)] ?? ["", undefined];
      if (text === "" || latin1(this.bytes.subarray(start, start + text.length)) !== text) {
        this.fail(`not JSON: ${excerpt(this.bytes, start)}`);
      }
      this.at += text.length;
      node = { type: "literal", value };
    }
    return Object.assign(node, { start, end: this.at });
  }

  array(depth) {
    const items = [];
    this.at++;
    this.space();
    if (this.take("]")) return { type: "array", items };
    for (;;) {
      this.path.push(items.length);
      this.space();
      items.push(this.value(depth));
      this.path.pop();
      this.space();
      if (this.take("]")) return { type: "array", items };
      this.need(",");
    }
  }

  object(depth) {
    const members = [];
    const seen = new Set();
    this.at++;
    this.space();
    if (this.take("}")) return { type: "object", members };
    for (;;) {
      this.space();
      const start = this.at;
      if (this.bytes[start] !== code('"')) this.fail(`expected the name of a member, found ${excerpt(this.bytes, start)}`);
      const name = this.string();
      if (seen.has(name)) this.duplicate(name, start);
      seen.add(name);
      this.space();
      this.need(":");
      this.space();
      this.path.push(name);
      members.push({ name, start, value: this.value(depth) });
      this.path.pop();
      this.space();
      if (this.take("}")) return { type: "object", members };
      this.need(",");
    }
  }

  duplicate(name, start) {
    const err = new JSONError(`two members are named ${JSON.stringify(name)}`, start, pointer(this.path));
    err.duplicate = true;
    throw err;
  }

  string() {
    let text = "";
    let from = ++this.at; // of the characters that stand for themselves
    const flush = () => {
      const part = decode(this.bytes.subarray(from, this.at));
      if (part === undefined) this.fail("invalid UTF-8", from);
      text += part;
    };
    for (;;) {
      const c = this.bytes[this.at];
      if (c === undefined) this.fail("the text ends within a string");
      if (c < 0x20) this.fail("a control character is not escaped");
      if (c === code('"')) {
        flush();
        this.at++;
        return text;
      }
      if (c === code("\\")) {
        flush();
        text += this.escape();
        from = this.at;
      } else {
        this.at++;
      }
    }
  }

  escape() {
    const start = this.at;
    const c = String.fromCharCode(this.bytes[start + 1]);
    if (Object.hasOwn(escapes, c)) {
      this.at += 2;
      return escapes[c];
    }
    const unit = this.unit();
    if (unit === 0) this.fail("the character U+0000 is not allowed", start);
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    const low = unit < 0xdc00 ? this.unit(true) : -1;
    if (low < 0xdc00 || low > 0xdfff) this.fail("a lone surrogate is no character", start);
    return String.fromCharCode(unit, low);
  }

  // unit takes \uXXXX; where it need not be there, -1 says that it is not.
  unit(optional = false) {
    const text = latin1(this.bytes.subarray(this.at, this.at + 6));
    if (!/^\\u[0-9a-fA-F]{4}$/.test(text)) {
      if (optional) return -1;
      this.fail(`not an escape: ${excerpt(this.bytes, this.at)}`);
    }
    this.at += 6;
    return parseInt(text.slice(2), 16);
  }

  number() {
    let end = this.at;
    while (isDigit(this.bytes[end]) || "+-.eE".includes(String.fromCharCode(this.bytes[end]))) end++;
    const text = latin1(this.bytes.subarray(this.at, end));
    if (!/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/.test(text)) this.fail(`not a number: ${clip(text)}`);
    const reason = unfit(text);
    if (reason) this.fail(reason);
    this.at = end;
    return Number(text);
  }
}

// unfit says why the number does not survive being read as a double, or "". It
// survives if the shortest decimal of the double is the same decimal.
function unfit(text) {
  const value = Number(text);
  if (!Number.isFinite(value)) return `the number ${clip(text)} is beyond the range of a double`;
  const [digits, exponent] = decimal(text);
  if (digits === "") return "";
  if (value === 0) return `the number ${clip(text)} is not zero but a double makes it zero`;
  const [shortest, power] = decimal(String(value));
  if (digits !== shortest || exponent !== power) {
    return `the number ${clip(text)} loses digits: a double makes it ${value}`;
  }
  const whole = !/[.eE]/.test(text) || Math.abs(value) < 1e21;
  if (whole && Math.abs(value) > Number.MAX_SAFE_INTEGER) return `the integer ${clip(text)} is beyond ±(2^53-1)`;
  return "";
}

// decimal returns the significant digits and the power of ten of the first.
function decimal(text) {
  const [, whole, fraction = "", power = "0"] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  const all = whole + fraction;
  const digits = all.replace(/^0+/, "");
  return [digits.replace(/0+$/, ""), Number(power) + whole.length - 1 - (all.length - digits.length)];
}

// canonical writes a node as RFC 8785 does. ECMAScript defines how: numbers
// and strings as JSON.stringify writes them, members sorted by UTF-16.
export function canonical(node) {
  switch (node.type) {
    case "object": {
      const sorted = [...node.members].sort((a, b) => (a.name < b.name ? -1 : 1));
      return "{" + sorted.map((m) => JSON.stringify(m.name) + ":" + canonical(m.value)).join(",") + "}";
    }
    case "array":
      return "[" + node.items.map(canonical).join(",") + "]";
    default:
      return JSON.stringify(node.value);
  }
}

// difference says where bytes leave the canonical form of what they say; undefined if nowhere.
export function difference(bytes, node) {
  const want = encode(canonical(node));
  if (equal(bytes, want)) return undefined;
  let at = 0;
  while (at < Math.min(bytes.length, want.length) && bytes[at] === want[at]) at++;
  return { offset: at, found: excerpt(bytes, at), expected: excerpt(want, at) };
}

export const member = (node, name) => node?.members?.find((m) => m.name === name)?.value;

// place is the pointer to the innermost value or member around a byte.
export function place(node, offset, path = []) {
  for (const [i, m] of (node.members ?? node.items ?? []).entries()) {
    const value = m.value?.type ? m.value : m;
    if (offset >= m.start && offset < value.end) return place(value, offset, [...path, m.name ?? i]);
  }
  return pointer(path);
}

const pointer = (path) => path.map((p) => "/" + String(p).replaceAll("~", "~0").replaceAll("/", "~1")).join("");

function excerpt(bytes, at) {
  if (at >= bytes.length) return "the end";
  return JSON.stringify(new TextDecoder().decode(bytes.subarray(at, at + 12)));
}

export const clip = (text, most = 40) => (text.length > most ? text.slice(0, most) + "…" : text);
