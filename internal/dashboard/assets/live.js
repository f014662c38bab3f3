// Keeps a page up to date. An element with data-live names where the page is
// had again; the answer comes when there is news or after a while. data-every
// is how many seconds to leave between two questions.

import { clock, localTimes } from "./times.js";
import { morph, parse } from "./morph.js";

const main = document.querySelector("main");
const connection = document.getElementById("connection");

let seen = new Date();
let tag;

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

const visible = () =>
  new Promise((done) => {
    const look = () => {
      if (document.visibilityState !== "visible") return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });

function say(text) {
  connection.textContent = text;
  connection.hidden = text === "";
}

// ask asks once and shows the answer. It says whether to go on.
async function ask(url) {
  const answer = await fetch(url, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {}, signal: AbortSignal.timeout(45_000) });
  if (answer.status === 401) {
    say(`You are signed out. This is the state of ${clock(seen)}; reload the page to sign in again.`);
    return false;
  }
  if (answer.status !== 304 && !answer.ok) throw new Error(`the server answers ${answer.status}`);
  if (answer.status !== 304) {
    const fresh = parse(await answer.text());
    localTimes(fresh);
    morph(main, fresh);
    tag = answer.headers.get("ETag");
    main.dispatchEvent(new CustomEvent("renewed"));
  } else localTimes(main);
  seen = new Date();
  say("");
  return true;
}

async function follow() {
  let failures = 0;
  for (;;) {
    const where = main.querySelector("[data-live]");
    if (!where) return; // nothing moves any more
    await pause(failures > 0 ? Math.min(2 ** failures, 30) : Number(where.dataset.every ?? 1));
    await visible();
    try {
      if (!(await ask(where.dataset.live))) return;
      failures = 0;
    } catch {
      failures++;
      say(`Connection lost. This is the state of ${clock(seen)}.`);
    }
  }
}

localTimes(document);
follow();
