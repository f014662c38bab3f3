import type { Problem } from "./errors.js";

// The API's own names: what stands here is what is sent and answered.

export type Mode = "shadow" | "canary";
/** Promoted, rolled back and aborted are final. */
export type State = "active" | "paused" | "promoted" | "rolled_back" | "aborted";
/** What a tick decided. */
export type Action = "promote" | "rollback" | "hold";
/** The result of a comparison, per gate and overall. */
export type Outcome = "regressed" | "clean" | "insufficient";
export type Statistic = "rate" | "mean" | "p50" | "p90" | "p95" | "p99";

/** A gate: a metric, a statistic of it, the direction that is better, a margin, and what a breach does. */
export interface Gate {
  metric: string;
  statistic?: Statistic;
  better?: "higher" | "lower";
  /** The harm that is tolerated: a number in units of the metric, or a share of the baseline such as "5%". */
  margin?: number | string;
  pair?: "probe" | "";
  on?: "rollback" | "hold" | "warn";
}

/** Why, as a code with parameters for machines and as a sentence. */
export interface Reason {
  code: string;
  params?: Record<string, unknown>;
  text: string;
}

/** The request that declares a rollout. What is left out is filled in and shown in the answer. */
export interface CreateRollout {
  app_id: string;
  environment?: string;
  baseline_release: string;
  candidate_release: string;
  /** By default shadow, which signs verdicts and takes no action. */
  mode?: Mode;
  /** Weights in percent, strictly rising, the last 100; by default 5, 25, 50, 100. */
  steps?: number[];
  /** Fresh candidate runs that a step needs; 30. */
  min_runs?: number;
  first_look?: number;
  /** Gates, or their text form such as "latency_ms:p95:margin=10%:on=hold". */
  gates?: (Gate | string)[];
  confidence?: number;
  guarantee?: "rollout" | "look";
  error_budget?: number;
  promote_on?: "not_regressed" | "non_inferior";
  promote_margin?: number;
  /** Also require the recorded judgments of a judge. */
  require_pairwise?: boolean;
  /** What is asked of the judge: decided pairs (30), the age of its newest verdict in seconds (604800), whose judgments count, and what a regression does (rollback). */
  pairwise?: { min_pairs?: number; max_age?: number; judge?: { model?: string; version?: string; template?: string }; on?: "rollback" | "hold" };
  baseline?: "auto" | "concurrent";
  srm?: "hold" | "warn" | "off";
  unit?: "run" | "unit";
  labels?: Record<string, string>;
  /** Starts a new attempt after a rollback of this candidate. */
  attempt_reason?: string;
}

/** A candidate release being ramped against a baseline release. */
export interface Rollout {
  id: string;
  app_id: string;
  environment: string;
  baseline_release: string;
  candidate_release: string;
  mode: Mode;
  state: State;
  /** True in shadow mode: the state is what canary mode would have reached. */
  advisory: boolean;
  /** The present step, from 1. */
  step: number;
  /** The authorised weight in percent; null in shadow mode. */
  weight: number | null;
  /** The weight that shadow mode would have authorised; null in canary mode. */
  paper_weight: number | null;
  /** The candidate runs of this step, in closed blocks, that carry each decisive metric. */
  fresh_runs: number;
  policy: Record<string, unknown>;
  policy_digest: string;
  ledger: Record<string, unknown>;
  last_decision: Decision | null;
  /** Rises with each decision. */
  sequence: number;
  attempt: number;
  attempt_reason?: string;
  labels?: Record<string, string>;
  created_at: string;
  created_by: string;
  updated_at: string;
  history: Record<string, unknown> | null;
  /** What the ramp needs and what it can and cannot see. */
  plan: { runs: number; text: string; steps: Record<string, unknown>[] };
}

/** One entry of a rollout's time line. */
export interface Decision {
  /** The receipt. */
  event_id?: string;
  sequence: number;
  /** For an operator's pause or resume it is hold. */
  decision: Action;
  /** An operator's action; absent for a tick. */
  action?: "promote" | "abort" | "pause" | "resume";
  reason: Reason;
  mode: Mode;
  state_before: State;
  state: State;
  step_before: number;
  step: number;
  weight_before: number;
  weight: number;
  terminal: boolean;
  advisory: boolean;
  actor: string;
  recorded_at: string;
  log_index: number;
  verdict?: Outcome;
  gates?: { gate: string; verdict: Outcome; difference: Difference | null; one_look?: Difference }[];
  checks?: Check[];
}

/** Candidate minus baseline, with the limits of its interval. */
export interface Difference {
  estimate: number;
  lo: number;
  hi: number;
  method: string;
  open?: "lo" | "hi" | "both";
  confidence?: number;
  strata: number;
}

/** A condition watched beside the gates. */
export interface Check {
  check: string;
  status: "ok" | "warn" | "hold";
  detail: string;
}

/** The statistic of one cohort; null where there is no run. */
export interface CohortFigure {
  n: number;
  missing: number;
  value: number | null;
  lo: number | null;
  hi: number | null;
}

/** One gate with both cohorts, their difference and its verdict. */
export interface GateResult extends Required<Omit<Gate, "pair">> {
  pair?: "probe" | "";
  null?: string;
  baseline: CohortFigure;
  candidate: CohortFigure;
  /** The interval that decides; null before there is one. */
  difference: Difference | null;
  pairs?: Record<string, number>;
  one_look?: Difference;
  ledger?: Record<string, number>;
  verdict: Outcome;
  /** The smallest harm that this sample could still hide; null where it sets no limit. */
  hides: number | null;
  tolerated?: number;
  reason: Reason;
}

/** The result of comparing two cohorts on all gates. */
export interface Verdict {
  verdict: Outcome;
  engine: string;
  guarantee: "rollout" | "look";
  /** The blocks tested so far; 0 for a comparison on demand. */
  look: number;
  gates: GateResult[];
  signals: GateResult[];
  pairwise: { required: boolean; verdict: Outcome; reason: Reason } | null;
  checks: Check[];
  attempt: number;
  reason: Reason;
}

/** The answer to an evaluation of one rollout. */
export interface Tick {
  rollout: Rollout;
  decision: Decision;
  verdict: Verdict | null;
  /** False when the rollout had ended before: nothing was looked at or written. */
  ticked: boolean;
}

/** The answer to evaluating every active rollout: for each its tick or its problem. */
export interface EvaluateAll {
  results: { rollout_id: string; tick?: Tick; problem?: Problem }[];
}

/** The answer for CD systems that poll. */
export interface GateAnswer {
  rollout_id: string;
  decision: Action;
  state: State;
  weight: number | null;
  reason: string;
}

/** A part of a list. */
export interface List<T> {
  items: T[];
  /** Asks for the next part; absent in the last one. */
  next_cursor?: string;
}

/** Asks for a part of a list. */
export interface Page {
  limit?: number;
  /** The next_cursor of the part before. */
  cursor?: string;
}

/** Selects rollouts; what is absent selects all. */
export interface RolloutFilter extends Page {
  app_id?: string;
  environment?: string;
  state?: State;
}

/** Asks whether a candidate is worse than a baseline on what has been recorded. */
export interface CompareRequest {
  app_id: string;
  environment?: string;
  baseline: string;
  candidate: string;
  gates?: (Gate | string)[];
  confidence?: number;
  min_runs?: number;
  /** How gates are paired that do not say; by default not at all. */
  pair?: "auto" | "probe" | "none";
}

/** The answer to a release compare. */
export interface Comparison {
  app_id: string;
  environment?: string;
  baseline: string;
  candidate: string;
  verdict: Verdict;
}

/** A receipt and its place in the log. */
export interface ReceiptItem {
  log_index: number;
  receipt: Record<string, unknown>;
}

/** Selects runs; what is absent selects all. */
export interface RunsQuery {
  app_id?: string;
  environment?: string;
  release?: string;
  /** The log index behind which runs are wanted; -1, the default, is from the start. */
  after?: number;
  /** How long the server may wait for a run when there is none, in milliseconds. */
  wait?: number;
  limit?: number;
}
