import type { Agent } from "node:http";

import { fromEnvironment } from "./settings.js";
import { Call, Transport, defaultBaseURL, segment } from "./transport.js";
import type {
  CompareRequest, Comparison, CreateRollout, Decision, EvaluateAll, GateAnswer, List, Page, ReceiptItem, Rollout, RolloutFilter, RunsQuery, Tick,
} from "./types.js";

/** Configures a {@link Client}. */
export interface ClientOptions {
  /** The server's address; empty is PROVA_BASE_URL, or else http://127.0.0.1:7788. */
  baseURL?: string | undefined;
  /** Is sent with each request; empty is PROVA_API_KEY. */
  apiKey?: string | undefined;
  /** Names the program; "prova-typescript" by default. */
  userAgent?: string | undefined;
  /** Bounds one call, in milliseconds, besides what it asks the server to wait; 60,000. */
  timeout?: number | undefined;
  /** Opens the connections, such as through a proxy. */
  agent?: Agent | undefined;
}

/** What a call may be given besides its arguments. */
export interface CallOptions {
  /** Gives the call up; it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

const rollouts = "/api/v1/rollouts";

/**
 * Speaks to one server: declares rollouts, ticks them, reads them. A call
 * rejects with an {@link AnswerError} for what the server refuses and an
 * {@link UnreachableError} if no answer came. It never retries: only the caller
 * knows what may be repeated. Reads and evaluations may.
 */
export class Client {
  readonly #transport: Transport;

  /** Checks the options; it does not reach the server. Throws an Error for an address or a key that cannot be. */
  constructor(options: ClientOptions = {}) {
    this.#transport = new Transport({
      baseURL: fromEnvironment(options.baseURL, "PROVA_BASE_URL") || defaultBaseURL,
      apiKey: fromEnvironment(options.apiKey, "PROVA_API_KEY"),
      userAgent: options.userAgent || "prova-typescript",
      timeout: options.timeout && options.timeout > 0 ? options.timeout : 60_000,
      agent: options.agent,
      background: false,
    });
  }

  /** The address that the client speaks to. */
  get baseURL(): string {
    return this.#transport.baseURL;
  }

  async #get<T>(path: string, query: Call["query"], o: CallOptions | undefined, wait = 0): Promise<T> {
    return (await this.#transport.json<T>({ method: "GET", path, query: query ?? {}, wait, signal: o?.signal })).value;
  }

  async #post<T>(path: string, body: unknown, o: CallOptions | undefined, also = 0): Promise<T> {
    return (await this.#transport.json<T>({ method: "POST", path, body, also, signal: o?.signal })).value;
  }

  /**
   * Declares a rollout. `created` is false when an equal unfinished one was
   * there already and is returned. Permission: rollout.manage.
   */
  async createRollout(request: CreateRollout, o?: CallOptions): Promise<{ rollout: Rollout; created: boolean }> {
    const { value, status } = await this.#transport.json<Rollout>({ method: "POST", path: rollouts, body: request, signal: o?.signal });
    return { rollout: value, created: status === 201 };
  }

  /** Lists rollouts, newest first. Permission: release.read. */
  rollouts(filter: RolloutFilter = {}, o?: CallOptions): Promise<List<Rollout>> {
    return this.#get(rollouts, { ...filter }, o);
  }

  /** Reads one rollout without a tick. Permission: release.read. */
  rollout(id: string, o?: CallOptions): Promise<Rollout> {
    return this.#get(`${rollouts}/${segment(id)}`, undefined, o);
  }

  /**
   * Reads one rollout as soon as its sequence is above `since`, or as it is
   * after `wait` milliseconds. It never ticks. Permission: release.read.
   */
  awaitRollout(id: string, since: number, wait: number, o?: CallOptions): Promise<Rollout> {
    return this.#get(`${rollouts}/${segment(id)}`, { since, wait: `${Math.round(wait)}ms` }, o, wait);
  }

  /**
   * Ticks one rollout. A tick that rolled the candidate back is an answer like
   * any other: it stands in the decision. Permission: rollout.manage.
   */
  evaluate(id: string, o?: CallOptions): Promise<Tick> {
    return this.#post(`${rollouts}/${segment(id)}/evaluate`, undefined, o, 422);
  }

  /**
   * Ticks every active rollout of the org. One that could not be ticked carries
   * its problem and stops no other. Permission: rollout.manage.
   */
  evaluateAll(o?: CallOptions): Promise<EvaluateAll> {
    return this.#post(`${rollouts}/evaluate`, undefined, o);
  }

  /** Stops a rollout from advancing; it may still roll back. Permission: rollout.manage. */
  pause(id: string, reason: string, o?: CallOptions): Promise<Rollout> {
    return this.#operate(id, "pause", reason, o);
  }

  /** Lets a paused rollout advance again. Permission: rollout.manage. */
  resume(id: string, reason: string, o?: CallOptions): Promise<Rollout> {
    return this.#operate(id, "resume", reason, o);
  }

  /** Overrides the verdict for one step. Permission: rollout.manage. */
  promote(id: string, reason: string, o?: CallOptions): Promise<Rollout> {
    return this.#operate(id, "promote", reason, o);
  }

  /** Ends a rollout and takes the candidate out of traffic. Permission: rollout.manage. */
  abort(id: string, reason: string, o?: CallOptions): Promise<Rollout> {
    return this.#operate(id, "abort", reason, o);
  }

  #operate(id: string, action: string, reason: string, o: CallOptions | undefined): Promise<Rollout> {
    return this.#post(`${rollouts}/${segment(id)}/${action}`, { reason }, o);
  }

  /** Lists the time line of a rollout, oldest first. Permission: release.read. */
  decisions(id: string, page: Page = {}, o?: CallOptions): Promise<List<Decision>> {
    return this.#get(`${rollouts}/${segment(id)}/decisions`, { ...page }, o);
  }

  /**
   * Answers a controller that stands at `weight` percent, without a tick:
   * promote if more is authorised, rollback if the candidate is out, else hold.
   * Permission: release.read.
   */
  gate(id: string, weight: number, o?: CallOptions): Promise<GateAnswer> {
    return this.#get(`${rollouts}/${segment(id)}/gate`, { weight }, o);
  }

  /**
   * Asks whether a candidate is worse than a baseline on what has been recorded:
   * one look, no rollout needed. Permission: release.read.
   */
  compare(request: CompareRequest, o?: CallOptions): Promise<Comparison> {
    return this.#post("/api/v1/compare", request, o);
  }

  /** Lists runs in log order, the first ones behind `after`. Permission: release.read. */
  runs(query: RunsQuery = {}, o?: CallOptions): Promise<List<ReceiptItem>> {
    const { wait = 0, after = -1, ...rest } = query;
    return this.#get("/api/v1/runs", { ...rest, after, wait: wait > 0 ? `${Math.round(wait)}ms` : undefined }, o, wait);
  }

  /** Reads one receipt by its event id, as the bytes of the answer, which {@link verifyReceipt} takes. Permission: audit.read. */
  receipt(id: string, o?: CallOptions): Promise<Buffer> {
    return this.#transport.bytes({ method: "GET", path: `/api/v1/audit/receipts/${segment(id)}`, signal: o?.signal });
  }

  /** Reads the server's public keys, past ones too, as the text that {@link pinKeys} takes. It needs no key. */
  async signingKeys(o?: CallOptions): Promise<string> {
    return (await this.#transport.bytes({ method: "GET", path: "/api/v1/keys", signal: o?.signal })).toString("utf8");
  }
}
