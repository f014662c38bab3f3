import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { FileHandle, open, readFile, readdir, rename, rm, stat, unlink, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";

import { reason } from "./errors.js";
import type { Settings } from "./settings.js";

// A spool is a directory in which each recorder has one of its own, which only
// it writes, and whose lock it keeps fresh as long as it lives:
//
//   <spoolDir>/node-<app, environment and server>-<random>/lock
//   <spoolDir>/node-<app, environment and server>-<random>/<time of its first event>-<number>-<random>.ndjson
//
// A recorder takes over the directories of its app, environment and server
// whose recorder is gone, by moving them into its own, which only one can. Each
// line of a segment is an object with an event and the CRC-32C of its bytes.
// Segments are only appended to, and flushed to the disk after each write. One
// is removed when the server has answered for all of it; a crash before that
// sends it again, which counts nothing twice.

/** How large a segment grows, in bytes: it is read back as a whole. */
const segmentBytes = 1 << 20;
const lockName = "lock";
const segmentEnd = ".ndjson";
/** How often a lock is made fresh, and from when on it is stale, in milliseconds. */
const heartbeat = 5000;
const stale = 60_000;

/** A file of the spool. */
export interface Segment {
  path: string;
  events: number;
  bytes: number;
}

/** What was read of a segment. */
export interface Read {
  segment: Segment;
  lines: Buffer[];
  /** Lines that are not whole. */
  broken: number;
  err: unknown;
}

interface Lock {
  /** The machine and, where they can be told apart, its start and the space in which pids are counted. */
  place: string;
  pid: number;
  /** When the process began, in milliseconds since 1970. */
  began: number;
  token: string;
}

const began = Date.now() - process.uptime() * 1000;
const place = [hostname(), read("/proc/sys/kernel/random/boot_id"), link("/proc/self/ns/pid")].join(" ");
const mine = new Set<string>();

function read(path: string): string {
  try {
    return fs.readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function link(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return "";
  }
}

/** Makes the recorder's directory. Throws if it cannot be. */
export function openSpool(settings: Settings, baseURL: string): Spool {
  const owner = createHash("sha256").update([settings.appId, settings.environment, baseURL].join("\0")).digest("hex").slice(0, 16);
  fs.mkdirSync(settings.spoolDir, { recursive: true, mode: 0o700 });
  return new Spool(settings.spoolDir, `node-${owner}-`, settings.spoolBytes);
}

export class Spool {
  readonly #base: string;
  readonly #prefix: string;
  readonly #max: number;
  readonly #token = randomBytes(8).toString("hex");
  readonly #beat: NodeJS.Timeout;
  #dir: string;
  /** The oldest first; the last one may be open. */
  readonly #segments: Segment[] = [];
  #bytes = 0;
  #file: FileHandle | undefined;
  #number = 0;

  constructor(base: string, prefix: string, max: number) {
    this.#base = base;
    this.#prefix = prefix;
    this.#max = max;
    this.#dir = this.#make();
    this.#beat = setInterval(() => void this.#refresh().catch(() => undefined), heartbeat).unref();
  }

  // A directory is never seen without its lock.
  #make(): string {
    const random = randomBytes(8).toString("hex");
    const dir = join(this.#base, this.#prefix + random);
    const making = join(this.#base, `making-${random}`);
    fs.mkdirSync(making, { mode: 0o700 });
    const lock: Lock = { place, pid: process.pid, began, token: this.#token };
    fs.writeFileSync(join(making, lockName), JSON.stringify(lock), { mode: 0o600 });
    fs.renameSync(making, dir);
    mine.add(this.#token);
    return dir;
  }

  async #refresh(): Promise<void> {
    const now = new Date();
    await utimes(join(this.#dir, lockName), now, now);
  }

  /** Takes over what recorders left that are gone, and returns the number of events. */
  async takeOver(): Promise<{ events: number; errors: string[] }> {
    const errors: string[] = [];
    const found: Segment[] = [];
    try {
      await this.#own();
      await this.#refresh();
      const now = (await stat(join(this.#dir, lockName))).mtimeMs;
      for (const name of await readdir(this.#base)) {
        const dir = join(this.#base, name);
        if (!name.startsWith(this.#prefix) || dir === this.#dir || !(await isFree(dir, now))) continue;
        const taken = join(this.#dir, name);
        try {
          await rename(dir, taken);
        } catch (err) {
          if ((err as NodeJS.ErrnoException).code !== "ENOENT") errors.push(reason(err)); // else another was faster
          continue;
        }
        found.push(...(await this.#unpack(taken, errors)));
      }
    } catch (err) {
      errors.push(reason(err));
    }
    found.sort((a, b) => (basename(a.path) < basename(b.path) ? -1 : 1));
    this.#segments.unshift(...found);
    this.#bytes += found.reduce((n, s) => n + s.bytes, 0);
    return { events: found.reduce((n, s) => n + s.events, 0), errors };
  }

  // Moves the segments of a directory that was taken into the recorder's own.
  // One that broke off itself may hold what it had taken.
  async #unpack(taken: string, errors: string[]): Promise<Segment[]> {
    const found: Segment[] = [];
    try {
      for (const entry of await readdir(taken, { withFileTypes: true })) {
        const from = join(taken, entry.name);
        if (entry.isDirectory()) found.push(...(await this.#unpack(from, errors)));
        if (!entry.isFile() || !entry.name.endsWith(segmentEnd)) continue;
        const path = join(this.#dir, entry.name);
        await rename(from, path);
        const data = await readFile(path);
        if (data.length === 0) {
          await unlink(path); // nothing was written before its process ended
          continue;
        }
        found.push({ path, events: splitLines(data).length, bytes: data.length });
      }
      await rm(taken, { recursive: true, force: true });
    } catch (err) {
      errors.push(reason(err));
    }
    return found;
  }

  /**
   * Writes lines, the first of which was recorded at a time, in milliseconds
   * since 1970, and returns how many of them are on the disk and why not more.
   */
  async append(at: number, lines: Buffer[]): Promise<[number, unknown]> {
    let n = 0;
    try {
      await this.#own();
      while (n < lines.length) {
        const segment = await this.#openSegment(at);
        const { out, events } = this.#pack(lines.slice(n), segment.bytes);
        if (events === 0) throw new Error("it is full");
        await this.#file!.appendFile(out);
        await this.#file!.datasync();
        n += events;
        this.#grow(segment, events, out.length);
        if (segment.bytes >= segmentBytes) await this.#closeSegment();
      }
      return [n, undefined];
    } catch (err) {
      // The end may be torn: nothing is to follow it.
      await this.#closeSegment().catch(() => undefined);
      return [n, err];
    }
  }

  // The directory was taken if this process stood still for long: it makes another.
  async #own(): Promise<void> {
    try {
      await stat(join(this.#dir, lockName));
    } catch {
      await this.#closeSegment().catch(() => undefined);
      this.#dir = this.#make();
    }
  }

  // As many lines as a segment that has `bytes` takes.
  #pack(lines: Buffer[], bytes: number): { out: Buffer; events: number } {
    const out: Buffer[] = [];
    let size = 0;
    for (const line of lines) {
      if (bytes + size >= segmentBytes) break;
      const framed = frame(line);
      if (this.#bytes + size + framed.length > this.#max) break;
      out.push(framed);
      size += framed.length;
    }
    return { out: Buffer.concat(out), events: out.length };
  }

  #grow(segment: Segment, events: number, bytes: number): void {
    segment.events += events;
    segment.bytes += bytes;
    this.#bytes += bytes;
  }

  // A file is named by when its first event was recorded: that is the order in which they are read back.
  #name(at: number): string {
    const time = String(Math.floor(at)).padStart(15, "0");
    return join(this.#dir, `${time}-${String(++this.#number).padStart(6, "0")}-${randomBytes(4).toString("hex")}${segmentEnd}`);
  }

  async #openSegment(at: number): Promise<Segment> {
    if (this.#file) return this.#segments[this.#segments.length - 1]!;
    const segment = { path: this.#name(at), events: 0, bytes: 0 };
    this.#file = await open(segment.path, "ax", 0o600);
    await syncDirectory(this.#dir);
    this.#segments.push(segment);
    return segment;
  }

  async #closeSegment(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Lets what is written next begin a file of its own. */
  async endSegment(): Promise<void> {
    await this.#closeSegment().catch(() => undefined); // each write was flushed
  }

  /** Reads the oldest segment; undefined if there is none. One that is gone has only broken lines. */
  async readOldest(): Promise<Read | undefined> {
    const [segment] = this.#segments;
    if (!segment) return undefined;
    try {
      if (this.#segments.length === 1) await this.endSegment();
      const all = splitLines(await readFile(segment.path));
      const lines = all.flatMap((line) => unframe(line) ?? []);
      return { segment, lines, broken: all.length - lines.length, err: undefined };
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === "ENOENT") return { segment, lines: [], broken: segment.events, err: undefined };
      return { segment, lines: [], broken: 0, err };
    }
  }

  /** Forgets the oldest segment. */
  async remove(segment: Segment): Promise<void> {
    this.#segments.shift();
    this.#bytes -= segment.bytes;
    await rm(segment.path, { force: true });
  }

  /** Ends writing and lets the next recorder have the directory. */
  async close(): Promise<void> {
    clearInterval(this.#beat);
    await this.#closeSegment();
    if (this.#segments.length === 0) await rm(this.#dir, { recursive: true, force: true });
    else await unlink(join(this.#dir, lockName));
    mine.delete(this.#token);
  }

  /** Writes lines while the process ends, where nothing can be waited for, and returns how many are on the disk. */
  leave(at: number, lines: Buffer[]): number {
    let n = 0;
    while (n < lines.length) {
      const { out, events } = this.#pack(lines.slice(n), 0);
      if (events === 0) break;
      const segment = { path: this.#name(at), events: 0, bytes: 0 };
      const file = fs.openSync(segment.path, "wx", 0o600);
      fs.writeFileSync(file, out);
      fs.fsyncSync(file);
      fs.closeSync(file);
      n += events;
      this.#grow(segment, events, out.length);
      this.#segments.push(segment);
    }
    return n;
  }

  /** Lets the next recorder have the directory, while the process ends. */
  unlock(): void {
    try {
      fs.rmSync(this.#segments.length === 0 ? this.#dir : join(this.#dir, lockName), { recursive: true, force: true });
    } catch {
      // The lock is stale soon.
    }
  }
}

/** Says whether the recorder of a directory is gone; `now` is the time on the clock of the file system. */
async function isFree(dir: string, now: number): Promise<boolean> {
  const path = join(dir, lockName);
  let lock: Lock;
  try {
    lock = JSON.parse(await readFile(path, "utf8")) as Lock;
    if (mine.has(lock.token)) return false;
    if (lock.place === place && !isAlive(lock)) return true;
    return now - (await stat(path)).mtimeMs > stale;
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === "ENOENT" || err instanceof SyntaxError;
  }
}

function isAlive(lock: Lock): boolean {
  // After a restart another process may have this one's id: in a container it is mostly 1.
  if (lock.pid === process.pid) return Math.abs(lock.began - began) < 10_000;
  try {
    process.kill(lock.pid, 0);
    return true;
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === "EPERM";
  }
}

// Makes a new file's name durable where a directory can be flushed.
async function syncDirectory(dir: string): Promise<void> {
  try {
    const d = await open(dir, "r");
    await d.sync().finally(() => d.close());
  } catch {
    // Windows cannot.
  }
}

function splitLines(data: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(0x0a, at);
    lines.push(data.subarray(at, end < 0 ? data.length : end));
    at = end < 0 ? data.length : end + 1;
  }
  return lines;
}

const [head, middle, tail] = ['{"crc32c":"', '","event":', "}"];
const lineShape = /^\{"crc32c":"([0-9a-f]{8})","event":/;

function frame(line: Buffer): Buffer {
  return Buffer.concat([Buffer.from(head + checksum(line) + middle), line, Buffer.from(tail + "\n")]);
}

/** The event of a line, or undefined if the line is not whole. */
function unframe(line: Buffer): Buffer | undefined {
  const start = head.length + 8 + middle.length;
  const sum = lineShape.exec(line.toString("latin1", 0, start))?.[1];
  const event = line.subarray(start, line.length - tail.length);
  return sum !== undefined && line.toString("latin1", line.length - tail.length) === tail && checksum(event) === sum ? event : undefined;
}

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1;
  return n;
});

/** The CRC-32C (RFC 3720) in hex. */
function checksum(data: Buffer): string {
  let crc = 0xffffffff;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}
