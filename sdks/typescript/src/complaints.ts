import { reason } from "./errors.js";

/**
 * What a recorder complains about. It stands in the details of a warning as
 * `kind` and never changes.
 *
 * - `disabled`: nothing is recorded: a setting is missing or wrong; said once
 * - `closed`: a run came after close; said once
 * - `no_release`: a run carries no release and will not be counted; said once
 * - `value_refused`: a metric, a payload field or a name was left out of its run
 * - `event_refused`: a whole run or outcome was refused
 * - `dropped`: nothing could hold what was recorded
 * - `key`: the server does not accept the API key
 * - `unreachable`: no answer from the server
 * - `unavailable`: the server answers that it cannot now: 408, 429, 5xx
 * - `foreign_answer`: an answer that is not Prova's
 * - `too_large`: a request was too large for the server, or for what stands before it
 * - `request_refused`: the server refuses the request for another reason
 * - `spool`: the spool cannot be used, is full, or was damaged
 */
export type Complaint =
  | "disabled" | "closed" | "no_release" | "value_refused" | "event_refused" | "dropped" | "key"
  | "unreachable" | "unavailable" | "foreign_answer" | "too_large" | "request_refused" | "spool";

/** Is told what goes wrong. `console` is one. */
export interface Logger {
  warn(message: string, details: WarningDetails): void;
}

/** What a warning is about. */
export interface WarningDetails {
  kind: Complaint;
  /** The metric, field or name, where the complaint is about one. */
  name?: string;
  /** How often the same came up since it was last said. */
  since?: number;
  [detail: string]: unknown;
}

/** How long the same complaint is only counted, in milliseconds. */
const pause = 60_000;

/** Bounds what is remembered: there are a few kinds, and as many names of metrics as an agent makes up. */
const maxRemembered = 256;

interface State {
  kind: Complaint;
  name: string;
  at: number;
  since: number;
}

/** Writes warnings without flooding the log: each at once when it comes up, then at most once a minute. */
export class Complaints {
  readonly #logger: Logger;
  readonly #made = new Map<string, State>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Complains the first time and never again. */
  once(kind: Complaint, message: string): void {
    if (this.#made.has(kind)) return;
    this.#made.set(kind, { kind, name: "", at: Infinity, since: 0 });
    this.#write(kind, "", message, {});
  }

  /** Complains, unless the same was said within the last minute. */
  say(kind: Complaint, name: string, message: string, details: Record<string, unknown> = {}): void {
    let key = `${kind} ${name}`;
    // Too many names: they share one.
    if (!this.#made.has(key) && this.#made.size >= maxRemembered) key = `${kind} `;
    const now = performance.now();
    const state = this.#made.get(key);
    if (state && now - state.at < pause) {
      state.since++;
      return;
    }
    this.#made.set(key, { kind, name, at: now, since: 0 });
    this.#write(kind, name, message, state?.since ? { ...details, since: state.since } : details);
  }

  /** Says how often was complained that nothing was logged of. */
  finish(): void {
    for (const state of this.#made.values()) {
      if (state.since > 0) this.#write(state.kind, state.name, "the same again since it was last said", { since: state.since });
      state.since = 0;
    }
  }

  // The logger is the program's: its failure is not to end the agent.
  #write(kind: Complaint, name: string, message: string, details: Record<string, unknown>): void {
    try {
      this.#logger.warn(`prova: ${message}`, { kind, ...(name && { name }), ...details });
    } catch (err) {
      process.emitWarning(`prova: the logger failed: ${reason(err)}`);
    }
  }
}
