// The page that verifies a receipt. After it has loaded it asks the server for
// one thing, the public keys, and only where the reader pasted none.

import { decode, encode, member, parse } from "./json.js";
import { missing } from "./ed25519.js";
import { unwrap, verify } from "./receipt.js";
import { proofHeader } from "./log.js";
import { element, fillChecks, headline, shown, showTree } from "./view.js";
import { Changer } from "./change.js";
import { sample } from "./sample.js";
import { trustOf } from "./trust.js";

const $ = (id) => document.getElementById(id);
const empty = [...$("signed").childNodes]; // where to get a receipt

let dropped; // bytes of a file, which the text area cannot hold exactly
let trust = { reason: "no keys yet" };
let proof = "";
let turn = 0;
const lacking = missing();
const changer = new Changer(() => trust, () => proof);

// bytesOf is the UTF-8 of pasted text. A lone surrogate becomes bytes that are
// no UTF-8, so that it is found, not replaced as TextEncoder would.
function bytesOf(text) {
  if (text.isWellFormed()) return encode(text);
  const bytes = [];
  for (const c of text) {
    const unit = c.charCodeAt(0);
    if (c.isWellFormed()) bytes.push(...encode(c));
    else bytes.push(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f));
  }
  return Uint8Array.from(bytes);
}

async function findTrust() {
  const lacks = await lacking;
  return lacks ? { reason: lacks } : trustOf($("keys").value, sample.keys);
}

// proofText takes the text of a proof, or the answer of the API that holds it.
function proofText(text) {
  text = text.trim();
  if (!text.startsWith("{")) return text && text + "\n";
  try {
    return member(parse(encode(text)), "proof")?.value ?? text;
  } catch {
    return text;
  }
}

// What stands in the result is of the input before while it is busy.
const busy = (yes) => $("outcome").setAttribute("aria-busy", String(yes));

async function update() {
  const mine = ++turn;
  busy(true);
  const found = await findTrust();
  if (mine !== turn) return;
  trust = found;
  const input = dropped ?? bytesOf($("receipt").value);
  const { raw, proof: behind, within } = unwrap(input);
  proof = proofText($("proof").value) || behind;
  if (raw.length === 0) return show(undefined, undefined, proof);
  if (await lacking) return show(undefined, await lacking, proof);
  const report = await verify(raw, trust, proof);
  if (mine !== turn) return;
  show({ raw, report, within });
}

function show(original, lacks) {
  const report = original?.report;
  busy(false);
  fillChecks($("checks"), report);
  let said = ["none", "–", "Nothing to verify yet", "Paste a receipt, or drop its file on this page."];
  if (lacks) said = ["open", "!", "This browser cannot verify", `${lacks} Nothing is claimed about this receipt.`];
  else if (report) said = headline(report, trust.source);
  const [status, mark, title, text] = said;
  $("result").dataset.status = status;
  $("mark").textContent = mark;
  $("title").textContent = title;
  $("said").textContent = shown(text) + (original?.within ? " The receipt was taken, byte for byte, out of the answer of the API around it." : "");
  $("facts").hidden = !report?.integrityHash;
  $("integrity").textContent = report?.integrityHash ?? "";
  showSigned(report);
  changer.load(original);
}

function showSigned(report) {
  const box = $("signed");
  if (!report) {
    box.replaceChildren(...empty);
    return;
  }
  if (!report.signed) {
    box.replaceChildren(element("p", "The body is shown once its signature holds: until then nothing vouches for it.", { class: "quiet" }));
    return;
  }
  box.replaceChildren(showTree(report.signed.tree));
}

// take reads files: each is a receipt, a proof, or keys, by how it begins.
async function take(files) {
  for (const file of files) {
    if (file.size > 4 << 20) continue; // a receipt has at most 1 MiB
    const bytes = new Uint8Array(await file.arrayBuffer());
    const text = decode(bytes) ?? "";
    if (text.startsWith(proofHeader)) $("proof").value = text;
    else if (/^\s*\{\s*"(keys|items)"/.test(text) || /^[^{]*\+[0-9a-f]{8}\+/.test(text)) $("keys").value = text;
    else {
      dropped = bytes;
      $("receipt").value = new TextDecoder().decode(bytes);
    }
  }
  openFilled();
  await update();
}

const openFilled = () => {
  for (const id of ["proof", "keys"]) if ($(id).value !== "") $(id).closest("details").open = true;
};

function fill(values) {
  dropped = undefined;
  for (const id of ["receipt", "proof", "keys"]) $(id).value = values[id] ?? "";
  openFilled();
  return update();
}

let waiting;
for (const id of ["receipt", "proof", "keys"]) {
  $(id).addEventListener("input", () => {
    if (id === "receipt") dropped = undefined;
    clearTimeout(waiting);
    busy(true);
    waiting = setTimeout(update, 120);
  });
}
$("sample").addEventListener("click", () => fill(sample));
$("clear").addEventListener("click", () => fill({}).then(() => $("receipt").focus()));
$("file").addEventListener("change", async (e) => {
  await take([...e.target.files]);
  e.target.value = ""; // so that the same file can be chosen again
});
addEventListener("dragover", (e) => e.preventDefault());
addEventListener("drop", (e) => {
  if (e.dataTransfer.files.length === 0) return; // dropped text goes where it was dropped
  e.preventDefault();
  take([...e.dataTransfer.files]);
});
lacking.then((lacks) => lacks && show(undefined, lacks));
if ($("receipt").value !== "") update(); // kept by the browser over a reload
