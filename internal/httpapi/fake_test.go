package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/httpapi/contract"
	"github.com/cobound/prova/receipt"
)

// fake answers every use case with something full. A test sets a member to
// answer otherwise; err, if set, is every answer.
type fake struct {
	err      error
	batch    []authority.Submission
	filter   any
	cursor   string
	limit    int
	argument any
	wait     time.Duration
	record   func([]authority.Submission) []api.IngestResult
	tick     api.Tick
	rollout  func(context.Context) (api.Rollout, error)
	runs     func() api.List[api.ReceiptItem]
	export   func(io.Writer) error
	exists   bool
}

const (
	goodKey = "prv_k_secret"
	bearer  = "Bearer " + goodKey
)

var at = time.Date(2026, 5, 15, 18, 42, 0, 0, time.UTC)

func (f *fake) Authenticate(_ context.Context, key string) (authority.Principal, error) {
	if key != goodKey {
		return authority.Principal{}, &authority.Error{Code: authority.CodeUnauthenticated, Detail: "this key is unknown", Cause: errors.New("hidden cause")}
	}
	return authority.Principal{Org: "default", KeyID: "k", Permissions: api.Permissions()}, nil
}

func (f *fake) Ready(context.Context) error { return f.err }

func aKey() api.APIKey {
	return api.APIKey{ID: "k", Name: "ci", Permissions: []api.Permission{api.RolloutManage}, CreatedAt: at, CreatedBy: "o", ExpiresAt: &at}
}

func (f *fake) CreateAPIKey(_ context.Context, _ authority.Principal, r api.CreateAPIKey) (api.APIKey, error) {
	f.argument = r
	k := aKey()
	k.Secret = "prv_k_shown-once"
	return k, f.err
}

func (f *fake) APIKeys(context.Context, authority.Principal) ([]api.APIKey, error) {
	return []api.APIKey{aKey()}, f.err
}

func (f *fake) RevokeAPIKey(context.Context, authority.Principal, string) (api.APIKey, error) {
	k := aKey()
	k.RevokedAt = &at
	return k, f.err
}

func aChange() api.KeyChange {
	from := int64(7)
	return api.KeyChange{Event: "revoke", Key: api.SigningKey{KeyID: "k", Purpose: "receipt", Algorithm: "ed25519", PublicKey: "cA==", CreatedAt: at}, Ended: "k", FromIndex: &from, Reason: "because"}
}

func (f *fake) AddKey(_ context.Context, _ authority.Principal, r api.AddKey) (api.KeyChange, error) {
	f.argument = r
	return aChange(), f.err
}

func (f *fake) RotateKey(_ context.Context, _ authority.Principal, reason string) (api.KeyChange, error) {
	f.argument = reason
	return aChange(), f.err
}

func (f *fake) RetireKey(_ context.Context, _ authority.Principal, _, reason string) (api.KeyChange, error) {
	f.argument = reason
	return aChange(), f.err
}

func (f *fake) RevokeKey(_ context.Context, _ authority.Principal, _ string, r api.RevokeKey) (api.KeyChange, error) {
	f.argument = r
	return aChange(), f.err
}

func (f *fake) Erase(_ context.Context, _ authority.Principal, id string, r api.Erase) (api.Erasure, error) {
	f.argument = r
	return api.Erasure{EventID: id, Fields: []string{"input"}, AlreadyErased: []string{"output"}, Ground: r.Ground, Receipt: &api.ReceiptItem{LogIndex: 9, Receipt: []byte(aReceipt)}}, f.err
}

func (f *fake) CreateOrg(_ context.Context, _ authority.Principal, r api.CreateOrg) (api.Org, error) {
	return api.Org{Name: r.Name, CreatedAt: at, OwnerKey: "prv_o_shown-once"}, f.err
}

func (f *fake) Orgs(context.Context, authority.Principal) ([]api.Org, error) { return nil, f.err }

const aReceipt = `{"body":{"a":"\u000f/<é>","n":1e+21},"key_id":"` + "00" + `","signature":"c2ln"}`

func (f *fake) Record(_ context.Context, _ authority.Principal, batch []authority.Submission) ([]api.IngestResult, error) {
	f.batch = batch
	if f.record != nil {
		return f.record(batch), f.err
	}
	results := make([]api.IngestResult, len(batch))
	for i, s := range batch {
		results[i] = api.IngestResult{Index: i, Status: api.IngestCreated, LogIndex: new(int64), Receipt: []byte(aReceipt), Note: "n"}
		if s.Refused != nil {
			results[i] = api.IngestResult{Index: i, Status: api.IngestRefused, Problem: s.Refused}
		}
	}
	return results, f.err
}

func anItem() api.ReceiptItem { return api.ReceiptItem{LogIndex: 7, Receipt: []byte(aReceipt)} }

func (f *fake) Receipt(context.Context, authority.Principal, string) (api.ReceiptItem, error) {
	return anItem(), f.err
}

func (f *fake) list(filter any, cursor string, limit int) (api.List[api.ReceiptItem], error) {
	f.filter, f.cursor, f.limit = filter, cursor, limit
	if f.runs != nil {
		return f.runs(), f.err
	}
	return api.List[api.ReceiptItem]{Items: []api.ReceiptItem{anItem()}, NextCursor: "c"}, f.err
}

func (f *fake) Receipts(_ context.Context, _ authority.Principal, e authority.EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error) {
	return f.list(e, cursor, limit)
}

func (f *fake) Runs(_ context.Context, _ authority.Principal, e authority.EntryFilter, cursor string, limit int) (api.List[api.ReceiptItem], error) {
	return f.list(e, cursor, limit)
}

func (f *fake) RunsAfter(_ context.Context, _ authority.Principal, e authority.EntryFilter, limit int) (api.List[api.ReceiptItem], error) {
	return f.list(e, "", limit)
}

func (f *fake) Export(_ context.Context, _ authority.Principal, from int64, wait time.Duration, w io.Writer) error {
	f.wait = wait
	if f.export != nil {
		return f.export(w)
	}
	if f.err != nil {
		return f.err
	}
	_, err := fmt.Fprintf(w, "{\"export\":{\"from\":%d}}\n", from)
	return err
}

func (f *fake) Bundle(_ context.Context, _ authority.Principal, scope receipt.Scope, wait time.Duration, w io.Writer) error {
	f.argument, f.wait = scope, wait
	if f.export != nil {
		return f.export(w)
	}
	if f.err != nil {
		return f.err
	}
	_, err := io.WriteString(w, "a tar")
	return err
}

func (f *fake) SigningKeys(ctx context.Context) ([]api.SigningKey, error) {
	k, err := f.SigningKey(ctx, "id")
	return []api.SigningKey{k}, err
}

func (f *fake) SigningKey(_ context.Context, id string) (api.SigningKey, error) {
	return api.SigningKey{KeyID: id, Purpose: "receipt", Algorithm: "Ed25519", PublicKey: "AA==", CreatedAt: at}, f.err
}

func (f *fake) Checkpoint(context.Context, authority.Principal) (api.Checkpoint, error) {
	return api.Checkpoint{Origin: "o", Size: 1, RootHash: "AA==", Note: "o\n1\nAA==\n"}, f.err
}

func (f *fake) CosignedCheckpoint(ctx context.Context, p authority.Principal, wait time.Duration) (api.Checkpoint, error) {
	f.wait = wait
	return f.Checkpoint(ctx, p)
}

func (f *fake) CheckpointAt(ctx context.Context, p authority.Principal, size int64) (api.Checkpoint, error) {
	f.argument = size
	return f.Checkpoint(ctx, p)
}

func (f *fake) Tile(_ context.Context, _ authority.Principal, t authority.Tile) ([]byte, error) {
	f.argument = t
	return make([]byte, 32*t.Width), f.err
}

func (f *fake) Checkpoints(ctx context.Context, p authority.Principal, cursor string, limit int) (api.List[api.Checkpoint], error) {
	f.cursor, f.limit = cursor, limit
	c, err := f.Checkpoint(ctx, p)
	return api.List[api.Checkpoint]{Items: []api.Checkpoint{c}, NextCursor: "n"}, err
}

func (f *fake) Witnesses(context.Context, authority.Principal) ([]api.Witness, error) {
	return []api.Witness{
		{Name: "w", VKey: "w+1a2b3c4d+BA==", URL: "https://w.example/"},
		{Name: "w", VKey: "w+1a2b3c4d+BB==", URL: "http://w.example/", CosignedSize: 7, CosignedAt: &at, AskedAt: &at, StatusCode: 404, Error: "e", NextAt: &at},
	}, f.err
}

func (f *fake) ProveInclusion(_ context.Context, _ authority.Principal, q authority.InclusionQuery) (api.InclusionProof, error) {
	f.argument = q
	return api.InclusionProof{EventID: "evt", LogIndex: 1, Size: 2, RootHash: "AA==", LeafHash: "AA==", Hashes: []string{"AA=="}, Proof: "text"}, f.err
}

func (f *fake) Scrub(_ context.Context, _ authority.Principal, damage func(api.Damage) error, progress func(done, size int64) error) (api.ScrubResult, error) {
	if f.err != nil {
		return api.ScrubResult{}, f.err
	}
	err := errors.Join(progress(1, 2), damage(api.Damage{LogIndex: 1, EventID: "evt", Check: "signature", Detail: "d"}))
	return api.ScrubResult{Size: 2, Receipts: 2, Damages: 1}, err
}

func (f *fake) ProveConsistency(_ context.Context, _ authority.Principal, from, to int64) (api.ConsistencyProof, error) {
	f.argument = [2]int64{from, to}
	return api.ConsistencyProof{From: 1, To: 2, FromRootHash: "AA==", ToRootHash: "AA==", Hashes: []string{}}, f.err
}

func aVerdict() api.Verdict {
	v := 0.5
	d := &api.Difference{Estimate: 0.1, Lo: -0.1, Hi: 0.2, Method: "newcombe", Strata: 1}
	g, err := api.ParseGate("success:margin=2%:pair=probe")
	if err != nil {
		panic(err)
	}
	full := api.GateResult{
		Gate: g, Null: "same_rate", Baseline: api.CohortFigure{N: 1, Value: &v, Lo: &v, Hi: &v}, Difference: d, OneLook: d,
		Ledger: &api.GateLedger{Budget: 1}, Verdict: api.Clean, Hides: &v, Reason: api.Reason{Code: "c", Params: map[string]any{"n": 1}, Text: "t"},
	}
	return api.Verdict{
		Verdict: api.Clean, Engine: api.Engine, Guarantee: api.GuaranteeRollout, Gates: []api.GateResult{full, {Gate: g, Verdict: api.Insufficient}},
		Pairwise: &api.PairwiseResult{Verdict: api.Insufficient}, Checks: []api.Check{{Check: "srm", Status: "ok"}},
	}
}

func (f *fake) Compare(_ context.Context, _ authority.Principal, r api.CompareRequest) (api.Comparison, error) {
	f.argument = r
	return api.Comparison{AppID: r.AppID, Baseline: r.Baseline, Candidate: r.Candidate, Verdict: aVerdict()}, f.err
}

func (f *fake) Apps(context.Context, authority.Principal) ([]api.App, error) {
	return []api.App{{AppID: "a"}}, f.err
}

func (f *fake) Releases(_ context.Context, _ authority.Principal, app string) ([]api.Release, error) {
	f.argument = app
	return []api.Release{{AppID: app}}, f.err
}

func aDecision() api.Decision {
	v := aVerdict()
	return api.Decision{
		EventID: "evt_1", Sequence: 1, Decision: api.Promote, Reason: api.Reason{Code: "clean", Text: "clean"}, Mode: api.ModeCanary,
		StateBefore: api.StateActive, State: api.StateActive, WeightFrom: 5, Weight: 25, Actor: "k", RecordedAt: at, Verdict: api.Clean,
		Gates: []api.DecisionGate{{Gate: "success:rate", Verdict: api.Clean, Difference: v.Gates[0].Difference}, {Gate: "x", Verdict: api.Insufficient}},
	}
}

func aRollout() api.Rollout {
	d, w := aDecision(), 5
	return api.Rollout{
		ID: "rol_1", AppID: "a", Environment: "production", BaselineRelease: "v1", CandidateRelease: "v2", Mode: api.ModeCanary,
		State: api.StateActive, Step: 1, Weight: &w, LastDecision: &d, Sequence: 3, Labels: map[string]string{"a": "b"}, CreatedAt: at, UpdatedAt: at,
		Policy: api.Policy{Mode: api.ModeCanary, Steps: []int{5, 100}, MinRuns: 30, Gates: []api.Gate{aVerdict().Gates[0].Gate}, Guarantee: api.GuaranteeRollout},
		Ledger: api.RolloutLedger{Gates: []api.LedgerGate{{Gate: "success:rate"}}}, Plan: api.Plan{Step: []api.StepPlan{{Weight: 5}}},
	}
}

func aTick() api.Tick {
	v := aVerdict()
	return api.Tick{Rollout: aRollout(), Decision: aDecision(), Verdict: &v, Ticked: true}
}

func (f *fake) Rollouts(_ context.Context, _ authority.Principal, r authority.RolloutFilter, cursor string, limit int) (api.List[api.Rollout], error) {
	f.filter, f.cursor, f.limit = r, cursor, limit
	return api.List[api.Rollout]{Items: []api.Rollout{aRollout()}}, f.err
}

func (f *fake) Rollout(ctx context.Context, _ authority.Principal, _ string) (api.Rollout, error) {
	if f.rollout != nil {
		return f.rollout(ctx)
	}
	return aRollout(), f.err
}

func (f *fake) WaitRollout(ctx context.Context, _ authority.Principal, _ string, since int64, wait time.Duration) (api.Rollout, error) {
	f.argument = [2]int64{since, int64(wait)}
	if f.rollout != nil {
		return f.rollout(ctx)
	}
	return aRollout(), f.err
}

func (f *fake) Decisions(_ context.Context, _ authority.Principal, _, cursor string, limit int) (api.List[api.Decision], error) {
	f.cursor, f.limit = cursor, limit
	return api.List[api.Decision]{Items: []api.Decision{aDecision()}}, f.err
}

func (f *fake) Gate(_ context.Context, _ authority.Principal, id string, weight int) (api.GateAnswer, error) {
	f.argument = weight
	return api.GateAnswer{RolloutID: id, Decision: api.Hold, State: api.StateActive}, f.err
}

func (f *fake) CreateRollout(_ context.Context, _ authority.Principal, r api.CreateRollout) (api.Rollout, bool, error) {
	f.argument = r
	return aRollout(), !f.exists, f.err
}

func (f *fake) Evaluate(context.Context, authority.Principal, string) (api.Tick, error) {
	if f.tick.Rollout.ID != "" {
		return f.tick, f.err
	}
	return aTick(), f.err
}

func (f *fake) EvaluateActive(context.Context, authority.Principal) (api.EvaluateAll, error) {
	t := aTick()
	return api.EvaluateAll{Results: []api.EvaluateResult{{RolloutID: "rol_1", Tick: &t}}}, f.err
}

func (f *fake) operate(reason string) (api.Rollout, error) {
	f.argument = reason
	return aRollout(), f.err
}

func (f *fake) Pause(_ context.Context, _ authority.Principal, _, reason string) (api.Rollout, error) {
	return f.operate(reason)
}

func (f *fake) Resume(_ context.Context, _ authority.Principal, _, reason string) (api.Rollout, error) {
	return f.operate(reason)
}

func (f *fake) Abort(_ context.Context, _ authority.Principal, _, reason string) (api.Rollout, error) {
	return f.operate(reason)
}

func (f *fake) PromoteStep(_ context.Context, _ authority.Principal, _, reason string) (api.Rollout, error) {
	return f.operate(reason)
}

func aHook() api.Webhook {
	return api.Webhook{ID: "whk_1", URL: "https://example.com/", Events: api.WebhookEvents(), Enabled: true, CreatedAt: at}
}

func (f *fake) CreateWebhook(_ context.Context, _ authority.Principal, r api.CreateWebhook) (api.Webhook, error) {
	f.argument = r
	h := aHook()
	h.Secret = "whsec_shown-once"
	return h, f.err
}

func (f *fake) Webhooks(context.Context, authority.Principal) ([]api.Webhook, error) {
	return []api.Webhook{aHook()}, f.err
}

func (f *fake) Webhook(context.Context, authority.Principal, string) (api.Webhook, error) {
	return aHook(), f.err
}

func (f *fake) DeleteWebhook(context.Context, authority.Principal, string) error { return f.err }

func (f *fake) TestWebhook(context.Context, authority.Principal, string) (api.Delivery, error) {
	return api.Delivery{
		ID: "dlv_1", WebhookID: "whk_1", Event: api.EventPromote, Status: api.DeliveryPending, Body: []byte(`{"event":"x"}`), CreatedAt: at,
		NextAt: &at, Attempts: []api.Attempt{{Number: 1, At: at, StatusCode: 500, Answer: "\xff<oops>"}},
	}, f.err
}

func (f *fake) Deliveries(ctx context.Context, p authority.Principal, id, cursor string, limit int) (api.List[api.Delivery], error) {
	f.cursor, f.limit = cursor, limit
	d, err := f.TestWebhook(ctx, p, id)
	return api.List[api.Delivery]{Items: []api.Delivery{d}}, err
}

func (f *fake) Redeliver(ctx context.Context, p authority.Principal, id string) (api.Delivery, error) {
	f.argument = id
	return f.TestWebhook(ctx, p, id)
}

// serving returns the handler around f under the eyes of the contract, and its log.
func serving(t testing.TB, f *fake) (http.Handler, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	h := New(Options{Cases: f, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Version: "test"})
	return contract.Validate(t, h), &log
}

// ask sends one request with a good key. Further arguments are names and values of headers; an empty value removes one.
func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Authorization", bearer)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func aJudge() api.Judge { return api.Judge{Model: "judge-1", Version: "2026-11", Template: "ab12"} }

func aCalibration() api.Calibration {
	share := api.Share{X: 3, N: 4, Value: new(0.75), Lo: new(0.3), Hi: new(0.95)}
	return api.Calibration{
		EventID: "evt_c", RecordedAt: "2026-05-15T18:42:00.000Z", AppID: "app", Environment: "production", Judge: aJudge(), Labels: 5, Compared: 4,
		Agreement: share, Kappa: new(0.5), Confusion: [3][3]int64{{1, 1, 0}, {0, 1, 0}, {0, 0, 1}},
		Consistent: share, FirstBias: share, LongerWins: share, LabelsLonger: share, Retest: share,
	}
}

func aJob() api.JudgeJob {
	return api.JudgeJob{
		ID: "job_1", RolloutID: "rol_1", State: api.JobRunning, Judge: aJudge(), Pairs: 4, Judged: 2, Recorded: 1, Calls: 2, CostUSD: 0.1, Detail: "on its way",
		CreatedAt: "2026-05-15T18:42:00.000Z", UpdatedAt: "2026-05-15T18:42:00.000Z",
	}
}

func (f *fake) RecordJudgments(_ context.Context, _ authority.Principal, batch []authority.JudgmentSubmission) ([]api.IngestResult, error) {
	f.argument = batch
	results := make([]api.IngestResult, len(batch))
	for i, s := range batch {
		results[i] = api.IngestResult{Index: i, Status: api.IngestCreated, LogIndex: new(int64(i)), Receipt: []byte(`{"body":{},"key_id":"k","signature":"s"}`)}
		if s.Refused != nil {
			results[i] = api.IngestResult{Index: i, Status: api.IngestRefused, Problem: s.Refused}
		}
	}
	return results, f.err
}

func (f *fake) Judgments(_ context.Context, _ authority.Principal, q authority.Judged, cursor string, limit int) (api.JudgmentList, error) {
	f.filter, f.cursor, f.limit = q, cursor, limit
	judgment := api.Judgment{
		AppID: "app", Environment: "production", BaselineRelease: "v1", CandidateRelease: "v2", ProbeID: "p1", Judge: aJudge(), Verdict: api.PreferTie,
		Answers:         []api.JudgeAnswer{{First: api.PreferBaseline, Verdict: api.PositionFirst, Reason: "shorter"}, {First: api.PreferCandidate, Verdict: api.PositionFirst, Cached: true}},
		BaselineEventID: "evt_b", CandidateEventID: "evt_c", BaselineChars: new(int64(3)), CandidateChars: new(int64(4)), Calls: new(int64(2)), CostUSD: new(0.01), LatencyMS: new(9.5),
		OccurredAt: "2026-05-15T18:42:00.000Z", IdempotencyKey: "k",
	}
	return api.JudgmentList{
		Judges:     []api.JudgeSummary{{Judge: aJudge(), Figures: api.JudgedFigures{Ties: 1}, HalfTies: new(0.5), Calibration: new(aCalibration())}},
		Judgments:  []api.RecordedJudgment{{EventID: "evt_1", LogIndex: 7, RecordedAt: "2026-05-15T18:42:00.000Z", Repeat: true, Judgment: judgment}},
		NextCursor: "next",
	}, f.err
}

func (f *fake) Pairs(_ context.Context, _ authority.Principal, q authority.Judged, judge api.Judge, cursor string, limit int) (api.PairList, error) {
	f.filter, f.argument, f.cursor, f.limit = q, judge, cursor, limit
	return api.PairList{AppID: "app", Environment: "production", BaselineRelease: "v1", CandidateRelease: "v2", NextCursor: "next", Pairs: []api.Pair{{
		ProbeID: "p1", Input: []byte(`"2+2?"`), Baseline: api.PairRun{EventID: "evt_b", RunID: "r1", Output: []byte(`"4"`)}, Candidate: api.PairRun{EventID: "evt_c", Output: []byte(`{"n":4}`)}, Judged: true,
	}}}, f.err
}

func (f *fake) RecordCalibration(_ context.Context, _ authority.Principal, c api.Calibration) (api.Calibration, error) {
	f.argument = c
	return aCalibration(), f.err
}

func (f *fake) StartJudging(_ context.Context, _ authority.Principal, id string, bounds api.StartJudging) (api.JudgeJob, error) {
	f.argument = bounds
	return aJob(), f.err
}

func (f *fake) JudgeJob(context.Context, authority.Principal, string) (api.JudgeJob, error) {
	return aJob(), f.err
}
