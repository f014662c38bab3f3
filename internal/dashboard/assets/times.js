// Times in the reader's own zone. The server writes them in UTC, which stays
// in the title.

const form = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

// ago has the words of the server's.
function ago(ms) {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / 1440)} days ago`;
}

// localTimes rewrites the times within an element.
export function localTimes(within) {
  for (const e of within.querySelectorAll("time[datetime]")) {
    const at = new Date(e.dateTime);
    if (isNaN(at)) continue;
    e.textContent = e.classList.contains("age") ? ago(Date.now() - at) : form.format(at);
  }
}

export const clock = (at) => new Intl.DateTimeFormat(undefined, { timeStyle: "short" }).format(at);
