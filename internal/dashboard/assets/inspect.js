// Verifies the receipt that a page shows, from its bytes as they stand there.

import { encode } from "./json.js";
import { missing } from "./ed25519.js";
import { verify } from "./receipt.js";
import { trustOf } from "./trust.js";
import { localTimes } from "./times.js";
import { fillChecks, headline, shown } from "./view.js";

const $ = (id) => document.getElementById(id);

// fetchProof is the proof that the receipt stands in the log; none if it cannot be had.
async function fetchProof() {
  try {
    const answer = await fetch(`/receipts/${encodeURIComponent($("outcome").dataset.id)}/proof`, { cache: "no-store" });
    return answer.ok ? await answer.text() : "";
  } catch {
    return "";
  }
}

async function check() {
  const lacks = await missing();
  if (lacks) return show(undefined, ["open", "!", "This browser cannot verify", `${lacks} Nothing is claimed about this receipt.`]);
  const [trust, proof] = await Promise.all([trustOf($("keys").value), fetchProof()]);
  const report = await verify(encode($("raw").textContent), trust, proof);
  show(report, headline(report, trust.source));
}

function show(report, [status, mark, title, said]) {
  fillChecks($("checks"), report);
  $("result").dataset.status = status;
  $("mark").textContent = mark;
  $("title").textContent = title;
  $("said").textContent = shown(said);
  $("checked").hidden = false;
}

$("verify").addEventListener("click", async () => {
  $("outcome").setAttribute("aria-busy", "true");
  await check();
  $("outcome").setAttribute("aria-busy", "false");
});
localTimes(document);
