// Package prova is the Go SDK of Prova, a rollout verdict authority for releases
// of AI agents: it records what an agent does, ramps its releases, and verifies
// what comes back.
//
// # Record runs
//
// A rollout compares two releases by the runs of an agent. A [Recorder] sends
// them in the background. Set PROVA_API_KEY and PROVA_BASE_URL where the agent
// runs, and PROVA_RELEASE to a commit SHA or a version where you deploy; then
// this is all:
//
//	rec := prova.NewRecorder(prova.RecorderOptions{AppID: "claims-agent"})
//	defer rec.Close(context.Background())
//	err := rec.Run(ctx, func(ctx context.Context, run *prova.Run) error {
//		return answer(ctx, question) // the agent
//	})
//
// [Recorder.Run] measures latency_ms and sets success: false if the function
// returned an error or panicked. What else the run is judged by, what went in
// and what came out, is said on the way:
//
//	run.Metric("cost_usd", 0.0123)
//	run.Input(question)
//	run.Output(reply)
//	run.Probe("claim-0017") // the same input, replayed against each release
//
// [RunFrom] finds the run deeper in the agent, [Recorder.Start] begins one that
// does not fit into a function, [Recorder.Record] takes one that was measured
// elsewhere, and [Recorder.Outcome] adds what becomes known later.
//
// A recorder never holds the agent up and never breaks it. Nothing waits for
// the server: runs go into a queue that is bounded in number and in bytes, and
// one goroutine sends them in batches, again and again until each is signed or
// refused for good. Each has an idempotency key from the moment it is recorded,
// so that nothing counts twice. What cannot be kept is dropped, the newest
// first, and counted in [Recorder.Stats]. What goes wrong is logged once and
// then at most once a minute, as a [Complaint].
//
//   - The server is away, slow or overloaded, or does not accept the key: runs
//     wait. With RecorderOptions.SpoolDir they wait on disk when memory is half
//     full, and what is left at [Recorder.Close] is sent by the next process.
//   - A metric that is no finite number or boolean, or a payload that is no
//     JSON, is left out by name; the rest of the run is sent.
//   - A process that is killed loses what it had in memory: mostly the runs of
//     the last second.
//   - Without PROVA_API_KEY, as in the agent's own tests, nothing is recorded
//     and one line in the log says so.
//
// # A client
//
// A [Client] asks one server with one API key, and waits for its answers:
//
//	client, err := prova.New(prova.Options{
//		BaseURL: os.Getenv("PROVA_BASE_URL"), // empty: http://127.0.0.1:7788
//		APIKey:  os.Getenv("PROVA_API_KEY"),
//	})
//
// [Client.Ingest] is what a recorder does, in the foreground: it answers for
// each event whether it was created, was known already or was refused. Give
// each an idempotency key, and a batch may be sent again after any failure
// without counting anything twice.
//
// # Ramp a release
//
// [Client.CreateRollout] declares a candidate against a baseline. Nothing
// happens by itself: each [Client.Evaluate] is one tick, which looks at the
// evidence and decides to promote, to roll back or to hold. [Client.Rollout]
// only reads.
//
//	rollout, _, err := client.CreateRollout(ctx, api.CreateRollout{
//		AppID: "claims-agent", BaselineRelease: "v36", CandidateRelease: "v37", Mode: api.ModeCanary,
//	})
//	for !rollout.State.Finished() {
//		tick, err := client.Evaluate(ctx, rollout.ID)
//		…
//		rollout = tick.Rollout
//	}
//
// # Act on a decision
//
// A receiver of webhooks checks that a delivery is from the server before it
// acts on it, and acts on it once. A [WebhookReceiver] is an [http.Handler] that
// does both, and lets no decision overtake a later one of its rollout;
// [VerifyWebhook] is the check alone, over the body exactly as it was read.
//
// # Believe a receipt
//
// Every run and every decision is a signed receipt. [VerifyReceipt] checks one
// against keys that were pinned before, without asking anybody.
//
// # Errors
//
// What the server refuses is an [api.Problem] with the HTTP status and a
// detail that says what to do; a server that cannot be reached is an
// [UnreachableError]:
//
//	if problem, ok := errors.AsType[*api.Problem](err); ok { … }
//	if _, ok := errors.AsType[*prova.UnreachableError](err); ok { … }
//
// The client itself never retries: only the caller knows what may be repeated.
// Reads, evaluations, deletions and ingest with idempotency keys may. An
// [AnswerError] tells how long the server asks to wait.
package prova
