import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";

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

/** Why a delivery was not acted on, see {@link WebhookError}. */
export type WebhookFault = "secret" | "format" | "time" | "signature" | "body" | "repeated" | "busy";

/**
 * Why a delivery was not acted on. `code` is
 *
 * - `secret`: none was given
 * - `format`: the signature is missing or malformed
 * - `time`: it was signed more than five minutes ago, or ahead
 * - `signature`: it does not match
 * - `body`: it is signed as it should be, and not one that this version knows
 * - `repeated`: it was acted on, or something newer of its rollout was: answer with 2xx
 * - `busy`: its rollout is being acted on, or there is no memory left: answer with 503, and it is sent again
 */
export class WebhookError extends Error {
  override readonly name = "WebhookError";

  constructor(
    readonly code: WebhookFault,
    message: string,
  ) {
    super(message);
  }
}

/** The headers of a request, as node:http, fetch or a plain object have them. */
export type HeadersLike = IncomingHttpHeaders | { get(name: string): string | null };

/**
 * Checks that a delivery was signed with the hook's secret, or with one of
 * them, within the last five minutes, and reads it. `body` is the request's body
 * exactly as it came: decoding and encoding it again breaks the signature.
 * Throws a {@link WebhookError}.
 *
 * A delivery is repeated until it is answered with 2xx, so act on each header
 * webhook-id once; and act on the highest sequence of a rollout, because an
 * older promotion may arrive after a rollback. A {@link WebhookReceiver} sees to both.
 */
export function verifyWebhook(headers: HeadersLike, body: Uint8Array | string, secret: string | readonly string[]): WebhookEvent {
  const secrets = live(secret);
  const header = headerOf(headers, signatureHeader);
  if (!header) throw new WebhookError("format", `webhook signature: the header ${signatureHeader} is missing`);
  const bytes = Buffer.from(body as Uint8Array);
  verifySignature(header, bytes, secrets);
  return readEvent(bytes);
}

function live(secret: string | readonly string[]): readonly string[] {
  const secrets = typeof secret === "string" ? [secret] : secret;
  // An empty key would verify against an empty key.
  if (!secrets?.length || secrets.some((s) => typeof s !== "string" || s === "" || s === "whsec_")) {
    throw new WebhookError("secret", "webhook: no secret given; use the one that the webhook's creation showed");
  }
  return [...secrets];
}

function headerOf(headers: HeadersLike, name: string): string {
  if (typeof (headers as { get?: unknown }).get === "function") return (headers as { get(name: string): string | null }).get(name) ?? "";
  const plain = headers as IncomingHttpHeaders;
  const value = plain[name.toLowerCase()] ?? plain[name];
  return Array.isArray(value) ? value.join(",") : (value ?? "");
}

function verifySignature(header: string, body: Buffer, secrets: readonly string[]): void {
  const { stamp, sums } = readSignature(header);
  if (Math.abs(Date.now() - Number(stamp) * 1000) > signatureTolerance) {
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
  if (!/^[+-]?\d{1,20}$/.test(stamp) || sums.length === 0) throw malformed();
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
  if (typeof event.data?.rollout_id !== "string" || typeof event.data.sequence !== "number") {
    throw new WebhookError("body", "webhook body: it names no rollout and sequence");
  }
  return event;
}

/** The largest body of a delivery, in bytes. */
const maxDelivery = 1 << 20;
/** Bounds what a receiver remembers of deliveries and of rollouts. */
const remembered = 10_000;

/**
 * Acts on each delivery once. Besides the header webhook-id, which is not
 * signed, it remembers the highest sequence of each rollout, which stands in the
 * signed body: neither a delivery that is sent again under another id nor a
 * promotion that arrives after a rollback is acted on.
 *
 * It remembers 10,000 deliveries, in memory, and no less than those of the time
 * in which a signature counts: a delivery that it has no room for is put off.
 * After a restart it remembers nothing, so an action is to be one that is
 * harmless to repeat, as setting a weight is.
 *
 * ```ts
 * const receiver = new WebhookReceiver(async (event) => setWeight(event.data.weight), secret);
 * http.createServer(receiver.handle).listen(8080);
 * ```
 */
export class WebhookReceiver {
  readonly #act: (event: WebhookEvent) => unknown;
  readonly #secrets: readonly string[];
  readonly #acted = new Lately<true>();
  readonly #last = new Lately<number>();
  readonly #busy = new Set<string>();

  /**
   * `act` carries out an event, for one event of a rollout at a time; what it
   * throws makes the sender try again. A delivery of a test has `data.test` set.
   * `secrets` are the live secrets of the hook, two during a rotation. Throws a
   * WebhookError if there is none.
   */
  constructor(act: (event: WebhookEvent) => unknown, ...secrets: string[]) {
    this.#act = act;
    this.#secrets = live(secrets);
  }

  /**
   * Verifies a delivery as {@link verifyWebhook} does and acts on it, once.
   * Rejects with a {@link WebhookError}, or with what the action threw: after
   * that the delivery is not remembered.
   */
  async receive(headers: HeadersLike, body: Uint8Array | string): Promise<void> {
    const event = verifyWebhook(headers, body, this.#secrets);
    const id = headerOf(headers, "webhook-id");
    if (id === "" || id.length > 200) throw new WebhookError("body", "webhook body: the header webhook-id is missing or too long");
    const { rollout_id: rollout, sequence, test } = event.data;
    this.#enter(event.data, id);
    try {
      await this.#act(event);
      this.#acted.put(id, true);
      if (!test) this.#last.put(rollout, sequence);
    } finally {
      this.#busy.delete(rollout);
    }
  }

  // Takes the rollout for a delivery that is to be acted on.
  #enter({ rollout_id: rollout, sequence, test }: WebhookData, id: string): void {
    if (this.#busy.has(rollout)) throw new WebhookError("busy", `webhook: rollout ${rollout} is being acted on; send it again`);
    const last = this.#last.get(rollout);
    if (this.#acted.get(id) || (last !== undefined && !test && sequence <= last)) {
      throw new WebhookError("repeated", "webhook: acted on before");
    }
    if (!this.#acted.room() || !this.#last.room()) {
      throw new WebhookError("busy", `webhook: ${remembered} deliveries came within ${signatureTolerance / 60_000} minutes; send it again`);
    }
    this.#busy.add(rollout);
  }

  /**
   * Takes a request of node:http: 204 if it was acted on, now or before, 401 for
   * a signature that does not hold, 400 for what no server of Prova sends, 500
   * if the action failed and 503 if it is to come again. It never rejects.
   */
  readonly handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [status, text] = await this.#answer(request);
    if (status === 503) response.setHeader("Retry-After", "1");
    response.writeHead(status, text ? { "Content-Type": "text/plain; charset=utf-8" } : {}).end(text && text + "\n");
  };

  async #answer(request: IncomingMessage): Promise<[number, string]> {
    const body = await readBody(request);
    if (!body) return [400, "the body could not be read to its end, or is too large"];
    try {
      await this.receive(request.headers, body);
      return [204, ""];
    } catch (err) {
      // What the action says is not the sender's.
      if (!(err instanceof WebhookError)) return [500, "the event could not be carried out; send it again"];
      const statuses: Partial<Record<WebhookFault, number>> = { repeated: 204, busy: 503, body: 400 };
      const status = statuses[err.code] ?? 401;
      return [status, status === 204 ? "" : err.message];
    }
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of request as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > maxDelivery) return undefined;
      parts.push(part);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(parts);
}

/** Remembers values by key, the oldest first to go. */
class Lately<Value> {
  readonly #byKey = new Map<string, { value: Value; at: number }>();

  get(key: string): Value | undefined {
    return this.#byKey.get(key)?.value;
  }

  /** Forgets what is old enough and says whether there is room for one more. */
  room(): boolean {
    for (const [key, { at }] of this.#byKey) {
      if (this.#byKey.size < remembered) return true;
      // A signature counts for the tolerance in both directions.
      if (performance.now() - at <= 2 * signatureTolerance) return false;
      this.#byKey.delete(key);
    }
    return true;
  }

  put(key: string, value: Value): void {
    this.#byKey.delete(key); // so that it stands last
    this.#byKey.set(key, { value, at: performance.now() });
  }
}
