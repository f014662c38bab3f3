// Makes what a page shows equal to what the server now says, in place: what is
// equal stays, so that focus, selection, scroll, open details and typed text
// stay too. The new markup is this server's own, in which text from elsewhere
// was escaped; parsed this way it runs no script.

const parser = new DOMParser();

// parse reads a fragment of a page and returns an element with it.
export const parse = (html) => parser.parseFromString(html, "text/html").body;

// What the reader did to the page and the server does not know of.
const kept = { DETAILS: ["open"], INPUT: ["value", "checked"], DIALOG: ["open"] };

const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");

// morph makes the children of one element those of another, which is used up.
export function morph(old, fresh) {
  let at = old.firstChild;
  for (const want of [...fresh.childNodes]) {
    const match = find(at, want);
    if (!match) {
      old.insertBefore(want, at);
      continue;
    }
    for (; at !== match; ) at = drop(at);
    at = match.nextSibling;
    update(match, want);
  }
  while (at) at = drop(at);
}

// find looks from here on for a node that can become the wanted one. What has
// an id becomes only what has the same.
function find(from, want) {
  for (let n = from; n; n = n.nextSibling) {
    if (same(n, want)) return n;
    if (!want.id && n.id) return undefined; // it is waited for by another
  }
}

function drop(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function update(old, want) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== want.data) old.data = want.data;
    return;
  }
  if (old.hasAttribute("data-keep") && old.contains(document.activeElement)) return; // somebody is at it
  const keep = old.type === "hidden" ? [] : (kept[old.nodeName] ?? []);
  for (const { name } of [...old.attributes]) if (!want.hasAttribute(name) && !keep.includes(name)) old.removeAttribute(name);
  for (const { name, value } of want.attributes) if (!keep.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.nodeName === "TEXTAREA" || old.nodeName === "SELECT") return;
  morph(old, want);
}
