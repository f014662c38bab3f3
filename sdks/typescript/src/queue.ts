import type { Event } from "./event.js";
import type { Settings } from "./settings.js";

/** One event on its way to the server. Whoever took it out of the queue owns it; the queue still counts it until it is settled. */
export interface Item {
  event: Event | undefined;
  /** The event as it is sent, once it was written: the same bytes each time. */
  line: Buffer | undefined;
  /** What the queue counts for it, in bytes. */
  size: number;
  /** When it came in, on the clock of performance.now(). */
  at: number;
}

/**
 * Counts runs and outcomes. `recorded` and `recovered` are what came in; each of
 * them is in one of the other places: sent, refused, dropped, queued or spooled.
 */
export interface Stats {
  /** What the program recorded. */
  recorded: number;
  /** What an earlier process left in the spool. */
  recovered: number;
  /** What the server has signed. */
  sent: number;
  /** What the server, or a check before it, will never take. */
  refused: number;
  /** What was lost because nothing could hold it. */
  dropped: number;
  /** What waits in memory, with what is being sent. */
  queued: number;
  /** What waits on disk. */
  spooled: number;
  /** The metrics, payload fields and names that were left out of runs that went on without them. */
  refusedValues: number;
}

export type Counts = Omit<Stats, "queued">;

/** How long the sender waits where nothing is due: until it is told. In milliseconds. */
const idle = 60 * 60 * 1000;

/** What setTimeout takes, in milliseconds. */
const longestTimer = 2 ** 31 - 1;

/** Holds what waits in memory, oldest first, and counts everything. */
export class Queue {
  /** How many callers wait for everything to be sent. */
  flushing = 0;
  /** Why the last request failed, undefined after one that did not. */
  failure: Error | undefined;
  closed = false;

  readonly #settings: Settings;
  #items: Item[] = [];
  #held = 0; // items that wait or are being sent
  #bytes = 0; // of those
  #settled = 0; // what needs nothing more
  readonly #counts: Counts = { recorded: 0, recovered: 0, sent: 0, refused: 0, dropped: 0, spooled: 0, refusedValues: 0 };
  #waiting: { goal: number; done: () => void }[] = [];

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Adds an event. */
  push(item: Item): "accepted" | "full" | "closed" {
    this.#counts.recorded++;
    const { queueEvents, queueBytes } = this.#settings;
    if (this.closed || this.#held >= queueEvents || this.#bytes + item.size > queueBytes) {
      this.#counts.dropped++;
      return this.closed ? "closed" : "full";
    }
    this.#items.push(item);
    this.#held++;
    this.#bytes += item.size;
    return "accepted";
  }

  /** Says that the sender has something new to look at. */
  get news(): boolean {
    return this.#items.length === 1 || this.#full;
  }

  // There is no reason to wait for more before sending.
  get #full(): boolean {
    const { batchEvents, batchBytes } = this.#settings;
    return this.#items.length >= batchEvents || this.#bytes >= batchBytes || this.flushing > 0;
  }

  /** Says that memory is more than half full. */
  get crowded(): boolean {
    return this.#held > this.#settings.queueEvents / 2 || this.#bytes > this.#settings.queueBytes / 2;
  }

  /** How long the sender may wait for more, in milliseconds; 0 is not at all. */
  due(): number {
    const first = this.#items[0];
    if (!first) return idle;
    return this.#full ? 0 : Math.max(0, this.#settings.flushInterval - (performance.now() - first.at));
  }

  /** Hands out the oldest items, at least one if there is one. */
  take(events: number, bytes: number): Item[] {
    let n = 0;
    for (let size = 0; n < Math.min(events, this.#items.length); n++) {
      size += this.#items[n]!.size;
      if (n > 0 && size > bytes) break;
    }
    return this.#items.splice(0, n);
  }

  /** Hands out everything that waits. */
  takeAll(): Item[] {
    return this.#items.splice(0);
  }

  /** Hands out the oldest items if memory is more than half full. */
  takeCrowd(): Item[] {
    return this.crowded ? this.take(Math.max(1, this.#settings.queueEvents / 4), Math.max(1, this.#settings.queueBytes / 4)) : [];
  }

  /** Puts items that were taken at the front again. */
  giveBack(items: Item[]): void {
    if (items.length > 0) this.#items = items.concat(this.#items);
  }

  /** Counts what became of things, of which `memory` were taken from the queue. */
  change(counts: Partial<Counts>, memory: Item[] = []): void {
    for (const [name, n] of Object.entries(counts) as [keyof Counts, number][]) this.#counts[name] += n;
    this.#held -= memory.length;
    for (const item of memory) this.#bytes -= item.size;
    this.#settle((counts.sent ?? 0) + (counts.refused ?? 0) + (counts.dropped ?? 0));
  }

  #settle(n: number): void {
    if (n <= 0) return;
    this.#settled += n;
    this.#waiting = this.#waiting.filter(({ goal, done }) => {
      if (this.#settled >= goal) done();
      return this.#settled < goal;
    });
  }

  /**
   * Waits until everything that is there now needs nothing more, or resolves to
   * false when the time, in milliseconds, is over. It relies on the oldest going first.
   */
  settle(timeout: number): Promise<boolean> {
    const goal = this.#settled + this.#held + this.#counts.spooled;
    if (this.#settled >= goal) return Promise.resolve(true);
    return new Promise((resolve) => {
      // This timer alone keeps the process alive while somebody waits.
      const late = setTimeout(() => {
        this.#waiting = this.#waiting.filter((w) => w !== waiter);
        resolve(false);
      }, Math.min(timeout, longestTimer));
      const waiter = {
        goal,
        done: () => {
          clearTimeout(late);
          resolve(true);
        },
      };
      this.#waiting.push(waiter);
    });
  }

  stats(): Stats {
    return { ...this.#counts, queued: this.#held };
  }
}
