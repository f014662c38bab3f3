import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** The header of a delivery that is signed with the hook's secret. */
export const signatureHeader = "X-Prova-Signature";

/** How far a delivery's time may be from the receiver's clock, in milliseconds. */
export const signatureTolerance = 5 * 60 * 1000;

/** The body of a delivery. */
export interface WebhookEvent {
  event: "rollout.promote" | "rollout.rollback";
  data: WebhookData;
}

/** Says what to do. */
export interface WebhookData {
  rollout_id: string;
  app_id: string;
  environment: string;
  candidate_release: string;
  baseline_release: string;
  /** The weight to set, in percent: 0 on a rollback. */
  weight: number;
  /** True on full promotion and on rollback. */
  terminal: boolean;
  /** The receipt to verify. */
  decision_event_id: string;
  /** Rises with each decision of a rollout. */
  sequence: number;
  reason: string;
  /** True for a delivery that somebody asked for to try the receiver. */
  test?: boolean;
}

/**
 * Why a delivery is not to be acted on. `code` is `secret` (none was given),
 * `format` (the signature is missing or malformed), `time` (outside the
 * tolerance), `signature` (it does not match), `replay` (it was seen before) or
 * `body` (it is signed, and not one that this version knows).
 */
export class WebhookError extends Error {
  override readonly name = "WebhookError";

  constructor(
    readonly code: "secret" | "format" | "time" | "signature" | "replay" | "body",
    message: string,
  ) {
    super(message);
  }
}

/** The headers of a request, as node:http, fetch or a plain object have them. */
export type HeadersLike = IncomingHttpHeaders | { get(name: string): string | null };

/** How a delivery is verified. */
export interface WebhookOptions {
  /** Remembers what was accepted, and refuses it a second time. */
  memory?: ReplayMemory | undefined;
  /** The receiver's clock, in milliseconds since 1970; by default it is Date.now(). */
  now?: number | undefined;
}

/**
 * Checks that a delivery was signed with one of the hook's secrets within the
 * last five minutes, and reads it. `body` is the request's body exactly as it
 * came: decoding and encoding it again breaks the signature. Throws a
 * {@link WebhookError}.
 *
 * A delivery is repeated until it is answered with 2xx, so act on each header
 * webhook-id once (a {@link ReplayMemory} does that), and act on the highest
 * sequence of a rollout, because an older promotion may arrive after a rollback.
 */
export function verifyWebhook(headers: HeadersLike, body: Uint8Array | string, secret: string | readonly string[], options: WebhookOptions = {}): WebhookEvent {
  const secrets = (typeof secret === "string" ? [secret] : secret).filter((s) => s !== "");
  // An empty key would verify against an empty key.
  if (secrets.length === 0) throw new WebhookError("secret", "webhook signature: no secret given; use the one that the webhook's creation showed");
  const header = headerOf(headers, signatureHeader);
  if (!header) throw new WebhookError("format", `webhook signature: the header ${signatureHeader} is missing`);
  const bytes = Buffer.from(body as Uint8Array);
  const now = options.now ?? Date.now();
  verifySignature(header, bytes, secrets, now);
  const event = readEvent(bytes);
  const id = headerOf(headers, "webhook-id");
  if (options.memory && !options.memory.add(id || header, now)) {
    throw new WebhookError("replay", `webhook: the delivery ${id || "of this signature"} was accepted before; answer 2xx and do nothing`);
  }
  return event;
}

function headerOf(headers: HeadersLike, name: string): string {
  if (typeof (headers as { get?: unknown }).get === "function") return (headers as { get(name: string): string | null }).get(name) ?? "";
  const plain = headers as IncomingHttpHeaders;
  const value = plain[name.toLowerCase()] ?? plain[name];
  return Array.isArray(value) ? value.join(",") : (value ?? "");
}

function verifySignature(header: string, body: Buffer, secrets: readonly string[], now: number): void {
  const { stamp, sums } = readSignature(header);
  if (Math.abs(now - Number(stamp) * 1000) > signatureTolerance) {
    throw new WebhookError("time", "webhook signature: time is outside the tolerance; is this machine's clock right?");
  }
  let matched = false;
  for (const secret of secrets) {
    const want = createHmac("sha256", secret).update(`${stamp}.`).update(body).digest();
    for (const sum of sums) matched = (sum.length === want.length && timingSafeEqual(sum, want)) || matched;
  }
  if (!matched) throw new WebhookError("signature", "webhook signature: does not match");
}

function readSignature(header: string): { stamp: string; sums: Buffer[] } {
  const malformed = () => new WebhookError("format", "webhook signature: malformed header, want t=<unix seconds>,v1=<hex>");
  let stamp = "";
  const sums: Buffer[] = [];
  for (const part of header.split(",")) {
    const [key, ...rest] = part.trim().split("=");
    const value = rest.join("=");
    if (rest.length === 0) throw malformed();
    if (key === "t") stamp = value;
    if (key !== "v1") continue;
    if (!/^([0-9a-f]{2})*$/i.test(value)) throw malformed();
    sums.push(Buffer.from(value, "hex"));
  }
  if (!/^-?\d{1,15}$/.test(stamp) || sums.length === 0) throw malformed();
  return { stamp, sums };
}

function readEvent(body: Buffer): WebhookEvent {
  let event: WebhookEvent;
  try {
    event = JSON.parse(body.toString("utf8")) as WebhookEvent;
  } catch (err) {
    throw new WebhookError("body", `webhook body: ${(err as Error).message}`);
  }
  if (event?.event !== "rollout.promote" && event?.event !== "rollout.rollback") {
    throw new WebhookError("body", `webhook body: unknown event ${JSON.stringify(event?.event)}`);
  }
  if (typeof event.data !== "object" || event.data === null) throw new WebhookError("body", "webhook body: it has no data");
  return event;
}

/**
 * Remembers the ids of deliveries in this process, so that none is acted on
 * twice. A delivery is repeated for three days, each time signed anew; the ids
 * are kept longer than that. When it is full the oldest are forgotten.
 */
export class ReplayMemory {
  readonly #seen = new Map<string, number>();
  readonly #most: number;
  readonly #keep: number;

  /** `most` bounds the ids, 100,000 by default; `keep` is how long one is kept, in milliseconds, four days by default. */
  constructor(most = 100_000, keep = 4 * 24 * 60 * 60 * 1000) {
    this.#most = most;
    this.#keep = keep;
  }

  /** Remembers an id; false if it was there. */
  add(id: string, now = Date.now()): boolean {
    for (const [old, at] of this.#seen) {
      if (now - at <= this.#keep && this.#seen.size < this.#most) break;
      this.#seen.delete(old);
    }
    if (this.#seen.has(id)) return false;
    this.#seen.set(id, now);
    return true;
  }

  /** Forgets an id, of a delivery that could not be acted on: its next try is accepted. */
  forget(id: string): void {
    this.#seen.delete(id);
  }
}
