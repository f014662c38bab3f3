// What a reader sees of checks and of signed values. Text enters the page as
// text only, so that nothing in a receipt can become markup.

export function element(name, text = "", attributes = {}) {
  const e = document.createElement(name);
  e.textContent = text;
  for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
  return e;
}

// hidden are characters that show nothing or turn the order of others about:
// they could make a reader see something else than was signed.
const hidden = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

export const shown = (text) => text.replace(hidden, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

const words = { ok: ["✓", "holds"], failed: ["✕", "fails"], undetermined: ["!", "open"], none: ["–", "not checked"] };

// fillChecks writes what became of each check into the rows of a list.
export function fillChecks(list, report) {
  for (const row of list.children) {
    const check = report?.checks.get(row.dataset.check) ?? { status: "none" };
    const [mark, word] = words[check.status];
    row.dataset.status = check.status;
    row.querySelector(".mark").textContent = mark;
    row.querySelector(".word").textContent = word;
    const parts = row.querySelector(".parts");
    parts.replaceChildren();
    const add = (label, text) => text && parts.append(element("dt", label), element("dd", shown(text)));
    add("why", check.detail);
    add("expected", check.expected);
    add("found", check.found);
  }
}

// showTree shows a value of a parsed text: names, values, and what is nested to open and close.
export function showTree(node) {
  const list = element("ul", "", { class: "tree" });
  for (const [name, value] of entries(node)) list.append(showEntry(name, value));
  return list;
}

const entries = (node) => node.members?.map((m) => [m.name, m.value]) ?? node.items.map((item, i) => [String(i), item]);

function showEntry(name, value) {
  const line = element("li");
  const key = element("span", shown(name), { class: "name" });
  if (!value.members && !value.items) {
    line.append(key, " ", element("span", shown(JSON.stringify(value.value)), { class: "value " + value.type }));
    return line;
  }
  const inner = entries(value);
  const count = value.members ? `{${inner.length}}` : `[${inner.length}]`;
  if (inner.length === 0) {
    line.append(key, " ", element("span", value.members ? "{}" : "[]", { class: "value" }));
    return line;
  }
  const details = element("details");
  details.open = inner.length <= 12;
  const summary = element("summary");
  summary.append(key, " ", element("span", count, { class: "count" }));
  details.append(summary, showTree(value));
  line.append(details);
  return line;
}

// headline says in a few words what the report amounts to, and what it does not show.
export function headline(report, source) {
  const failed = [...report.checks.values()].filter((c) => c.status === "failed");
  const inLog = report.checks.get("inclusion").status === "ok" && report.checks.get("checkpoint").status === "ok";
  const scope = inLog ? "It stands in the log that the checkpoint signs." : "Whether it stands in the log was not asked: paste its proof.";
  switch (report.result) {
    case "verified":
      return ["verified", "✓", "Verified", `Signed by a key that you trust, and unchanged since. ${scope}`];
    case "malformed":
      return ["failed", "✕", "Not a receipt", "What was pasted cannot be read as a receipt."];
    case "failed":
      if (report.first === "known_key") return ["failed", "✕", "Not verified", "The key that it names is not among the keys given: nothing is proved."];
      return ["failed", "✕", "Not verified", `${count(failed.length)}: ${failed.map((c) => c.name).join(", ")}.`];
  }
  const signed = report.checks.get("signature").status === "ok";
  if (signed && source === "sample") {
    return ["consistent", "!", "The sample holds", `Everybody can sign with its keys, so it proves nothing. ${scope} Change a byte of it below.`];
  }
  if (signed && source === "server") {
    return ["consistent", "!", "Agrees with this server", `Every check holds with the keys that this server hands out, which shows that it agrees with itself. ${scope}`];
  }
  return ["open", "!", "Undetermined", report.checks.get("trust").detail || "Not every check could be made."];
}

export const count = (n) => (n === 1 ? "1 check fails" : `${n} checks fail`);
