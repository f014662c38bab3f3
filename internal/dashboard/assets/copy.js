// Buttons that copy a text which stands on the page, and the times in the
// reader's zone. Without scripts the text can be marked with one click.

import { localTimes } from "./times.js";

async function copy(button) {
  const from = document.getElementById(button.dataset.copy);
  const range = document.createRange();
  range.selectNodeContents(from);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(from.textContent);
  } catch {
    said = "Marked: press Ctrl+C or ⌘C"; // over plain http a browser copies nothing by itself
  }
  const before = button.textContent;
  button.textContent = said;
  setTimeout(() => (button.textContent = before), 2500);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
localTimes(document);
