package httpapi

import (
	"context"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/receipt"
)

// maxInteger bounds log indexes and sequences.
const maxInteger = math.MaxInt64

type entryList struct {
	filter authority.EntryFilter
	page
}

func readEntryFilter(r *request) authority.EntryFilter {
	return authority.EntryFilter{
		AppID:       r.text("app_id"),
		Environment: r.text("environment"),
		Release:     r.text("release"),
		ProbeID:     r.text("probe_id"),
		Since:       r.time("since"),
		Until:       r.time("until"),
	}
}

func readReceiptList(r *request) entryList {
	f := readEntryFilter(r)
	f.Kind, f.RolloutID = r.text("kind"), r.text("rollout_id")
	return entryList{f, r.page()}
}

func (s *service) receipts(ctx context.Context, who authority.Principal, in entryList) (reply, error) {
	return ok(s.cases.Receipts(ctx, who, in.filter, in.cursor, in.limit))
}

func (s *service) receipt(ctx context.Context, who authority.Principal, id string) (reply, error) {
	return ok(s.cases.Receipt(ctx, who, id))
}

// evidence is what is asked for, and how long the answer may wait for cosignatures of its checkpoint.
type evidence[T any] struct {
	of   T
	wait time.Duration
}

func readFrom(r *request) evidence[int64] {
	return evidence[int64]{r.integer("from", 0, 0, maxInteger), r.cosignWait()}
}

func (s *service) export(ctx context.Context, who authority.Principal, in evidence[int64]) (reply, error) {
	return reply{contentType: typeNDJSON, stream: func(w io.Writer) error {
		return s.cases.Export(ctx, who, in.of, in.wait, w)
	}}, nil
}

func readReceiptScope(r *request) evidence[receipt.Scope] {
	return evidence[receipt.Scope]{receipt.Scope{Receipt: byID(r)}, r.cosignWait()}
}

func readScope(r *request) evidence[receipt.Scope] {
	scope := receipt.Scope{Rollout: r.text("rollout")}
	from, to := r.integer("from", absent, 0, maxInteger), r.integer("to", absent, 1, maxInteger)
	if from != absent {
		scope.From = &from
	}
	if to != absent {
		scope.To = &to
	}
	if (scope.Rollout == "") == (from == absent) || to != absent && to <= from {
		r.note(invalid("/rollout", "name a rollout, or from and, behind it, to: the log index at which the range ends (exclusive)"))
	}
	return evidence[receipt.Scope]{scope, r.cosignWait()}
}

func (s *service) bundle(ctx context.Context, who authority.Principal, in evidence[receipt.Scope]) (reply, error) {
	return reply{contentType: typeTar, stream: func(w io.Writer) error {
		return s.cases.Bundle(ctx, who, in.of, in.wait, w)
	}}, nil
}

// stream begins the answer with its first byte, so that an error before it can
// still be a problem, and gives every write its own time limit.
type stream struct {
	r           *request
	contentType string
	begun       bool
}

func (s *stream) Write(b []byte) (int, error) {
	s.begin()
	s.r.extend(writeTime)
	return s.r.out.Write(b)
}

func (s *stream) begin() {
	if !s.begun {
		s.begun = true
		s.r.out.Header().Set("Content-Type", s.contentType)
		s.r.out.WriteHeader(http.StatusOK)
	}
}

func (a reply) writeStream(r *request) error {
	s := &stream{r: r, contentType: a.contentType}
	err := a.stream(s)
	if err != nil && s.begun {
		return cutOff{err}
	}
	if err == nil {
		s.begin()
	}
	return err
}

// cutOff is an error behind the first byte of an answer: only ending the connection tells the client.
type cutOff struct{ error }

type tail struct {
	entryList
	// ascending is set by after: the oldest runs behind a log index come first.
	ascending bool
	wait      time.Duration
}

func readRuns(r *request) tail {
	in := tail{entryList: entryList{readEntryFilter(r), r.page()}, wait: r.cosignWait()}
	in.filter.Kind = api.KindAgentRun
	after := r.integer("after", -1, -1, maxInteger-1)
	in.ascending = r.query.Get("after") != ""
	if !in.ascending {
		if in.wait > 0 {
			r.note(invalid("/after", "wait needs after: the log index of the last run that you have, or -1"))
		}
		return in
	}
	in.filter.From = after + 1
	if in.cursor != "" {
		r.note(invalid("/cursor", "after and cursor exclude each other"))
	}
	return in
}

// tailInterval is how often a waiting tail looks.
const tailInterval = 500 * time.Millisecond

func (s *service) runs(ctx context.Context, who authority.Principal, in tail) (reply, error) {
	if !in.ascending {
		return ok(s.cases.Runs(ctx, who, in.filter, in.cursor, in.limit))
	}
	over := time.Now().Add(in.wait)
	for {
		list, err := s.cases.RunsAfter(ctx, who, in.filter, in.limit)
		left := time.Until(over)
		if err != nil || len(list.Items) > 0 || left <= 0 || s.draining.Err() != nil {
			return ok(list, err)
		}
		select {
		case <-ctx.Done():
		case <-s.draining.Done():
		case <-time.After(min(tailInterval, left)):
		}
	}
}

func readCompare(r *request) api.CompareRequest {
	in := api.CompareRequest{
		AppID:       r.text("app_id"),
		Environment: r.text("environment"),
		Baseline:    r.text("baseline"),
		Candidate:   r.text("candidate"),
		Confidence:  r.number("confidence"),
		Pair:        r.text("pair"),
	}
	for _, text := range r.texts("gate") {
		g, err := api.ParseGate(text)
		if err != nil {
			r.note(invalid("/gate", err.Error()))
			continue
		}
		in.Gates = append(in.Gates, g)
	}
	if n := r.integer("min_runs", absent, 1, maxInteger); n != absent {
		in.MinRuns = &n
	}
	return in
}

func (s *service) compare(ctx context.Context, who authority.Principal, in api.CompareRequest) (reply, error) {
	return ok(s.cases.Compare(ctx, who, in))
}

func (s *service) apps(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return all(s.cases.Apps(ctx, who))
}

func (s *service) releases(ctx context.Context, who authority.Principal, appID string) (reply, error) {
	return all(s.cases.Releases(ctx, who, appID))
}

func (s *service) signingKeys(ctx context.Context, _ authority.Principal, _ struct{}) (reply, error) {
	return all(s.cases.SigningKeys(ctx))
}

func (s *service) signingKey(ctx context.Context, _ authority.Principal, id string) (reply, error) {
	return ok(s.cases.SigningKey(ctx, id))
}
