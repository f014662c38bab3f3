/** A member of a body that is invalid. */
export interface FieldError {
  /** Where it is, as a JSON pointer (RFC 6901). */
  pointer: string;
  detail: string;
}

/** An error as the server writes it (RFC 9457). */
export interface Problem {
  /** Stable: `urn:prova:problem:` and the code. */
  type: string;
  title: string;
  /** The HTTP status. */
  status: number;
  /** What is wrong and what to do. */
  detail: string;
  errors?: FieldError[];
}

const problemBase = "urn:prova:problem:";

/** The code of an answer that Prova did not write. */
export const codeForeign = "foreign_answer";

/** The code of a problem: the last part of its type. */
export function problemCode(problem: Problem): string {
  return problem.type.startsWith(problemBase) ? problem.type.slice(problemBase.length) : problem.type;
}

/** What a problem says, with the members that are wrong. */
export function problemText(problem: Problem): string {
  let text = problem.detail || problem.title;
  for (const e of problem.errors ?? []) {
    if (e.detail !== problem.detail) text += `\n  ${e.pointer}: ${e.detail}`;
  }
  return text;
}

/** A problem with a status that the client itself names. */
export function foreignProblem(status: number, detail: string): Problem {
  return { type: problemBase + codeForeign, title: "Foreign answer", status, detail };
}

/**
 * An answer that is no success. `problem` holds what the server says; for an
 * answer that Prova did not write its code is `foreign_answer`.
 */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
  /** The code of the problem, such as `not_found`. */
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;

  constructor(
    readonly problem: Problem,
    /** How long the server asks to wait, in milliseconds; 0 if it does not say. */
    readonly retryAfter: number,
  ) {
    super(problemText(problem));
    this.code = problemCode(problem);
    this.status = problem.status;
  }
}

/**
 * No answer came from the server: it is down, the address is wrong, the network
 * is, or the answer took too long. Whether the request was carried out is not known.
 */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(
    /** The address that was tried. */
    readonly baseURL: string,
    cause: unknown,
  ) {
    super(`cannot reach ${baseURL}: ${reason(cause)}`, { cause });
  }
}

/** What {@link Recorder.flush} and {@link Recorder.close} resolve to when not everything was sent. */
export class UnsentError extends Error {
  override readonly name = "UnsentError";

  constructor(
    /** Waits in memory and is tried again; after close it is always 0. */
    readonly queued: number,
    /** Waits on disk; the next recorder with this spool sends it. */
    readonly spooled: number,
    /** Was given up by close. */
    readonly lost: number,
    cause: Error | undefined,
  ) {
    const why = cause ? `: ${cause.message}` : "";
    super(`not everything was sent: ${queued} in memory, ${spooled} in the spool, ${lost} lost${why}`, { cause });
  }
}

/** What went wrong, in words, whatever was thrown. */
export function reason(thrown: unknown): string {
  const e = thrown as NodeJS.ErrnoException & { hostname?: string; errors?: unknown[] };
  if (e?.code === "ENOTFOUND" && e.hostname) return `no address is known for ${e.hostname}`;
  // A host with several addresses fails with one error for each.
  if (Array.isArray(e?.errors) && e.errors.length > 0) return e.errors.map(reason).join("; ");
  if (e instanceof Error) return e.message || e.code || e.name;
  try {
    return String(thrown);
  } catch {
    return "something was thrown that cannot be shown";
  }
}
