/**
 * Prova, a rollout verdict authority for releases of AI agents: record runs
 * ({@link Recorder}), drive rollouts ({@link Client}), verify what comes back
 * ({@link verifyWebhook}, {@link verifyReceipt}).
 *
 * @packageDocumentation
 */
export { Client } from "./client.js";
export type { CallOptions, ClientOptions } from "./client.js";
export type { Complaint, Logger, WarningDetails } from "./complaints.js";
export { AnswerError, UnreachableError, UnsentError } from "./errors.js";
export type { FieldError, Problem } from "./errors.js";
export type { Metric, Model } from "./event.js";
export type { Stats } from "./queue.js";
export { pinKeys, verifyReceipt } from "./receipt.js";
export type { PinnedKeys, ReceiptCheck, VerifiedReceipt } from "./receipt.js";
export { Recorder } from "./recorder.js";
export { currentRun } from "./run.js";
export type { Run, RunOptions, RunRecord } from "./run.js";
export type { RecorderOptions } from "./settings.js";
export type * from "./types.js";
export { WebhookError, WebhookReceiver, verifyWebhook } from "./webhook.js";
export type { HeadersLike, WebhookData, WebhookEvent, WebhookFault } from "./webhook.js";
