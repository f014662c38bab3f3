// Package prova is the Go client of Prova, a rollout verdict authority for
// releases of AI agents.
//
// # A client
//
// A [Client] speaks to one server with one API key:
//
//	client, err := prova.New(prova.Options{
//		BaseURL: os.Getenv("PROVA_BASE_URL"), // empty: http://127.0.0.1:7788
//		APIKey:  os.Getenv("PROVA_API_KEY"),
//	})
//
// # Report what the agent did
//
// A run is one execution of the agent with the metrics that it is judged by.
// [Client.Ingest] sends runs and answers for each whether it was created, was
// known already or was refused; a refused run never takes its neighbours with
// it. Give each run an idempotency key, and a batch may be sent again after
// any failure without counting anything twice:
//
//	answer, err := client.Ingest(ctx, []api.Event{{
//		Kind:           api.KindAgentRun,
//		IdempotencyKey: "trace-abc",
//		Source:         api.EventSource{AppID: "claims-agent", Release: "v37"},
//		Metrics:        map[string]api.Metric{"success": api.Bool(true), "latency_ms": api.Number(812)},
//	}})
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
// acts on it, with [VerifyWebhook] over the body exactly as it was read.
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
