// Changing one byte of a copy, to see which checks notice.

import { decode, latin1, place } from "./json.js";
import { hex } from "./ed25519.js";
import { verify } from "./receipt.js";
import { count, element, fillChecks, shown } from "./view.js";

const $ = (id) => document.getElementById(id);

export class Changer {
  original; // {raw, report}
  at = 0;
  value = 0;
  turn = 0;

  // trust and proof return what the original was verified with.
  constructor(trust, proof) {
    this.trust = trust;
    this.proof = proof;
    this.list = $("checks").cloneNode(true);
    this.list.id = "changed-checks";
    $("changed-slot").append(this.list);
    $("place").addEventListener("input", (e) => this.choose(Number(e.target.value)));
    $("slider").addEventListener("input", (e) => this.choose(Number(e.target.value)));
    $("byte").addEventListener("input", (e) => this.enter(e.target.value));
    $("bytes").addEventListener("click", (e) => this.click(e));
    $("restore").addEventListener("click", () => this.set(this.original.raw[this.at]));
    for (const button of $("places").querySelectorAll("button")) {
      button.addEventListener("click", () => this.choose(this.spot(button.dataset.place)));
    }
  }

  // load takes the receipt that was verified, or undefined where there is none.
  load(original) {
    this.original = original;
    $("change").disabled = !original;
    if (!original) {
      this.turn++;
      $("bytes").replaceChildren();
      $("changed").textContent = "Paste a receipt first.";
      fillChecks(this.list, undefined);
      return;
    }
    const last = original.raw.length - 1;
    $("place").max = $("slider").max = last;
    $("length").textContent = `of ${last}`;
    this.choose(this.spot("body"));
  }

  // spot is a byte worth changing in a part of the receipt.
  spot(part) {
    const { raw, report } = this.original;
    const { bodyStart, keyStart, sigStart, body } = report.parts ?? {};
    if (bodyStart === undefined) return 0;
    if (part === "key_id") return keyStart;
    if (part === "signature") return sigStart + 8;
    if (part === "envelope") return raw.length - 1;
    const digit = latin1(body).search(/[0-9](?=[,}])/); // a figure, if there is one
    return bodyStart + Math.max(digit, 0);
  }

  choose(at) {
    const { raw } = this.original;
    if (!Number.isInteger(at) || at < 0 || at >= raw.length) return;
    this.at = at;
    this.set(raw[at] ^ 1);
  }

  enter(text) {
    if (/^[0-9a-fA-F]{2}$/.test(text)) this.set(parseInt(text, 16));
  }

  async set(value) {
    this.value = value;
    $("changed").setAttribute("aria-busy", "true");
    this.show();
    const turn = ++this.turn;
    const copy = this.original.raw.slice();
    copy[this.at] = value;
    const report = await verify(copy, this.trust(), this.proof());
    if (turn === this.turn) this.tell(report);
  }

  show() {
    const { raw } = this.original;
    for (const id of ["place", "slider"]) if ($(id).value !== String(this.at)) $(id).value = this.at;
    const typed = $("byte");
    if (parseInt(typed.value, 16) !== this.value || document.activeElement !== typed) typed.value = hex([this.value]);
    // Characters of several bytes are shown whole; what is no UTF-8 is shown byte by byte.
    let [from, to] = [this.at, this.at + 1];
    this.text = decode(raw) === undefined ? latin1 : decode;
    if (this.text === decode) {
      while ((raw[from] & 0xc0) === 0x80) from--;
      while ((raw[to] & 0xc0) === 0x80) to++;
    }
    const chosen = raw.slice(from, to);
    chosen[this.at - from] = this.value;
    this.after = to;
    const mark = element("mark", glyph(chosen));
    $("bytes").replaceChildren(this.text(raw.subarray(0, from)), mark, this.text(raw.subarray(to)));
    // Scrolled by hand: scrollIntoView would move the page as well.
    const pane = $("bytes");
    const top = mark.offsetTop - pane.offsetTop;
    if (top < pane.scrollTop || top > pane.scrollTop + pane.clientHeight - 24) pane.scrollTop = top - pane.clientHeight / 2;
  }

  tell(report) {
    $("changed").setAttribute("aria-busy", "false");
    const { raw, report: before } = this.original;
    const [was, is] = [raw[this.at], this.value];
    fillChecks(this.list, report);
    const failed = [...report.checks.values()].filter((c) => c.status === "failed").map((c) => c.name);
    const where = this.where(before);
    const what = was === is
      ? `Byte ${this.at}${where} is as it was: ${named(was)}.`
      : `Byte ${this.at}${where} changed from ${named(was)} to ${named(is)}.`;
    const then = failed.length ? ` ${count(failed.length)}: ${failed.join(", ")}.` : " No check fails.";
    $("changed").textContent = shown(what + then);
    $("changed").dataset.status = failed.length ? "failed" : "ok";
    $("hash-before").textContent = before.integrityHash ?? "none";
    $("hash-after").textContent = report.integrityHash ?? "none";
  }

  where(report) {
    const { parts, tree } = report;
    if (!parts) return "";
    const inBody = this.at - parts.bodyStart;
    if (inBody >= 0 && inBody < parts.body.length) {
      const pointer = tree ? place(tree, inBody) : "";
      return pointer ? `, in ${pointer} of the body,` : ", in the body,";
    }
    if (this.at >= parts.keyStart && this.at < parts.keyStart + parts.keyID.length) return ", in the key id,";
    if (this.at >= parts.sigStart && this.at < parts.sigStart + parts.signature.length) return ", in the signature,";
    return ", between the parts,";
  }

  click(event) {
    if (!this.original || !getSelection().isCollapsed) return; // somebody selects text
    const { node, offset } = caretAt(event);
    if (!node) return;
    const pane = $("bytes");
    const bytes = (text) => (this.text === latin1 ? text.length : new TextEncoder().encode(text).length);
    if (node === pane.firstChild && node.nodeType === Node.TEXT_NODE) this.choose(bytes(node.data.slice(0, offset)));
    else if (node === pane.lastChild) this.choose(this.after + bytes(node.data.slice(0, offset)));
  }
}

function caretAt(event) {
  const { clientX: x, clientY: y } = event;
  const found = document.caretPositionFromPoint?.(x, y);
  if (found) return { node: found.offsetNode, offset: leftOf(found.offsetNode, found.offset, x) };
  const range = document.caretRangeFromPoint?.(x, y);
  return { node: range?.startContainer, offset: leftOf(range?.startContainer, range?.startOffset, x) };
}

// leftOf is the character under x: a caret right of the middle of one stands behind it.
function leftOf(node, offset, x) {
  if (node?.nodeType !== Node.TEXT_NODE || offset === 0) return offset;
  const range = document.createRange();
  range.setStart(node, offset - 1);
  range.setEnd(node, offset);
  const box = range.getBoundingClientRect();
  return box.left <= x && x < box.right ? offset - 1 : offset;
}

const printable = (c) => c > 0x20 && c < 0x7f;
const named = (byte) => (printable(byte) ? `${String.fromCharCode(byte)} (0x${hex([byte])})` : `0x${hex([byte])}`);

function glyph(bytes) {
  const text = decode(bytes);
  if (text !== undefined && shown(text) === text && bytes[0] > 0x20) return text;
  return `‹${[...bytes].map((byte) => hex([byte])).join(" ")}›`;
}

