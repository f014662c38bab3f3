import * as http from "node:http";
import * as https from "node:https";

import { AnswerError, Problem, UnreachableError, foreignProblem } from "./errors.js";

/** Where a server listens that was started without options. */
export const defaultBaseURL = "http://127.0.0.1:7788";

/** What is read of an answer at most, in bytes: four times the largest request. */
const maxAnswer = 64 << 20;
const maxRetryAfter = 24 * 60 * 60 * 1000;

export interface TransportOptions {
  baseURL: string;
  apiKey: string;
  userAgent: string;
  /** Bounds a call, in milliseconds. */
  timeout: number;
  /** Opens the connections, such as through a proxy. */
  agent?: http.Agent | undefined;
  /** Its calls are in the background: they may be sent again and never keep the process alive. */
  background: boolean;
}

/** One request. */
export interface Call {
  method: string;
  path: string;
  query?: Record<string, string | number | undefined>;
  headers?: Record<string, string>;
  /** Sent as JSON; bytes are sent as they are. */
  body?: unknown;
  /** How long the server was asked to hold its answer, in milliseconds. */
  wait?: number;
  /** A further status whose body is the answer, not a problem. */
  also?: number;
  signal?: AbortSignal | undefined;
}

interface Answer {
  status: number;
  statusText: string;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
}

/** Speaks HTTP to one server. It follows no redirect: a redirected POST silently turns into a GET. */
export class Transport {
  readonly #base: URL;
  readonly #options: TransportOptions;
  readonly #agent: http.Agent;

  /** Throws an Error if the options cannot be; it does not reach the server. */
  constructor(o: TransportOptions) {
    this.#options = o;
    this.#base = parseBase(o.baseURL);
    if (/[^!-~]/.test(o.apiKey)) {
      throw new Error("the API key holds a space, a line end or another character that no key has; was it copied whole?");
    }
    const { Agent } = this.#base.protocol === "https:" ? https : http;
    // A call that must not be repeated is not risked on a connection that the server may be closing.
    this.#agent = o.agent ?? new Agent({ keepAlive: o.background, maxSockets: 8 });
  }

  /** The address that is spoken to. */
  get baseURL(): string {
    return this.#base.href.replace(/\/$/, "");
  }

  /** Sends a request and decodes its answer. Rejects with an AnswerError, an UnreachableError or the reason of the signal. */
  async json<T>(call: Call): Promise<{ value: T; status: number }> {
    const answer = await this.#success(call);
    if (answer.body.length === 0) return { value: undefined as T, status: answer.status };
    try {
      return { value: JSON.parse(answer.body.toString("utf8")) as T, status: answer.status };
    } catch (err) {
      throw this.#foreign(answer, err as Error);
    }
  }

  /** Sends a request and returns the bytes of its answer; it rejects as json does. */
  async bytes(call: Call): Promise<Buffer> {
    return (await this.#success(call)).body;
  }

  async #success(call: Call): Promise<Answer> {
    const answer = await this.#exchange(call);
    if ((answer.status >= 200 && answer.status < 300) || (answer.status === call.also && !isProblem(answer))) return answer;
    throw this.#refusal(answer);
  }

  /** Ends the connections that wait for another request. */
  close(): void {
    if (!this.#options.agent) this.#agent.destroy();
  }

  async #exchange(call: Call): Promise<Answer> {
    const url = this.#url(call);
    const [headers, body] = this.#content(call);
    for (let again = this.#options.background; ; again = false) {
      const attempt = this.#attempt(url, call, headers, body);
      try {
        return await attempt.answer;
      } catch (err) {
        if (call.signal?.aborted) throw call.signal.reason;
        // The server closed a connection that waited, just as it was used again.
        const gone = ["ECONNRESET", "EPIPE"].includes((err as NodeJS.ErrnoException).code ?? "");
        if (again && gone && attempt.request.reusedSocket && !attempt.begun) continue;
        throw err instanceof AnswerError ? err : new UnreachableError(this.baseURL, err);
      }
    }
  }

  #url(call: Call): URL {
    const url = new URL(this.baseURL + call.path);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      // An empty parameter would be a filter of its own.
      if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
    }
    return url;
  }

  #content(call: Call): [Record<string, string | number>, Buffer | undefined] {
    const headers: Record<string, string | number> = { Accept: "application/json", "User-Agent": this.#options.userAgent };
    if (this.#options.apiKey) headers["Authorization"] = `Bearer ${this.#options.apiKey}`;
    if (call.body === undefined) return [call.method === "POST" ? { ...headers, "Content-Length": 0 } : headers, undefined];
    const body = Buffer.isBuffer(call.body) ? call.body : Buffer.from(JSON.stringify(call.body));
    return [{ ...headers, "Content-Type": "application/json", ...call.headers, "Content-Length": body.length }, body];
  }

  #attempt(url: URL, call: Call, headers: Record<string, string | number>, body: Buffer | undefined) {
    const { request: open } = url.protocol === "https:" ? https : http;
    const request = open(url, { method: call.method, headers, agent: this.#agent, ...(call.signal && { signal: call.signal }) });
    const background = this.#options.background;
    const attempt = { request, begun: false };
    const answer = new Promise<Answer>((resolve, reject) => {
      let tooLate: Error | undefined;
      const late = setTimeout(() => {
        tooLate = new Error("no answer in time");
        request.destroy(tooLate);
      }, this.#options.timeout + (call.wait ?? 0));
      if (background) {
        late.unref();
        request.on("socket", (socket) => socket.unref());
      }
      const fail = (err: unknown) => {
        clearTimeout(late);
        reject(tooLate ?? err);
      };
      request.on("error", fail);
      request.on("response", (response) => {
        attempt.begun = true;
        readAll(response).then((read) => {
          clearTimeout(late);
          resolve({ status: response.statusCode ?? 0, statusText: response.statusMessage ?? "", headers: response.headers, body: read });
        }, fail);
      });
      request.end(body);
    });
    return Object.assign(attempt, { answer });
  }

  #refusal(answer: Answer): AnswerError {
    if (isProblem(answer)) {
      try {
        const problem = JSON.parse(answer.body.toString("utf8")) as Problem;
        if (typeof problem?.type === "string" && problem.type !== "") {
          return new AnswerError({ ...problem, title: String(problem.title ?? ""), detail: String(problem.detail ?? ""), status: answer.status }, retryAfter(answer));
        }
      } catch {
        // It is no problem of Prova's then.
      }
    }
    return this.#foreign(answer);
  }

  #foreign(answer: Answer, err?: Error): AnswerError {
    const base = this.baseURL;
    let detail = `${base} answered ${answer.status} ${answer.statusText} with something that is not Prova's; is PROVA_BASE_URL right, and what stands in between?`;
    if (answer.headers.location && answer.status >= 300 && answer.status < 400) {
      detail = `${base} redirects to ${answer.headers.location}; set PROVA_BASE_URL to the address that answers itself`;
    }
    const begins = answer.body.subarray(0, 200).toString("utf8").split(/\s+/).join(" ").trim();
    if (begins) detail += `\n  it begins: ${JSON.stringify(begins)}`;
    if (err) detail += `\n  ${err.message}`;
    return new AnswerError(foreignProblem(answer.status, detail), retryAfter(answer));
  }
}

function parseBase(address: string): URL {
  let base: URL;
  try {
    base = new URL(address);
  } catch {
    throw new Error(`base URL ${JSON.stringify(address)}: want an address such as https://prova.example.com or ${defaultBaseURL}`);
  }
  if ((base.protocol !== "http:" && base.protocol !== "https:") || !base.hostname) {
    throw new Error(`base URL ${JSON.stringify(address)}: want an address such as https://prova.example.com or ${defaultBaseURL}`);
  }
  if (base.username || base.password || base.search || base.hash) {
    throw new Error(`base URL of ${base.host}: want no user, query or fragment; the API key is given on its own`);
  }
  return base;
}

async function readAll(response: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxAnswer) {
      response.destroy();
      throw new Error(`the answer has more than ${maxAnswer} bytes; ask for fewer items`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function isProblem(answer: Answer): boolean {
  return /^application\/problem\+json\s*(;|$)/i.test(answer.headers["content-type"] ?? "");
}

/** Reads seconds or a date (RFC 9110, 10.2.3), as milliseconds from now. */
function retryAfter(answer: Answer): number {
  const value = answer.headers["retry-after"] ?? "";
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return wait > 0 ? Math.min(wait, maxRetryAfter) : 0;
}

/** Makes an id or a name safe as one part of a path. */
export function segment(id: string): string {
  // These would be cleaned away and reach another route.
  return id === "" || id === "." || id === ".." ? "%00" : encodeURIComponent(id);
}
