package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// absent is the value of a whole number that was not given.
const absent = -1

func readSize(r *request) evidence[int64] {
	in := evidence[int64]{r.integer("size", absent, 0, maxInteger), r.cosignWait()}
	if in.of != absent && in.wait > 0 {
		r.note(invalid("/wait", "wait is for the present head: witnesses are asked about no earlier size"))
	}
	return in
}

func (s *service) checkpoint(ctx context.Context, who authority.Principal, in evidence[int64]) (reply, error) {
	if in.of == absent {
		return ok(s.cases.CosignedCheckpoint(ctx, who, in.wait))
	}
	return ok(s.cases.CheckpointAt(ctx, who, in.of))
}

func (s *service) checkpoints(ctx context.Context, who authority.Principal, in page) (reply, error) {
	return ok(s.cases.Checkpoints(ctx, who, in.cursor, in.limit))
}

func readInclusion(r *request) authority.InclusionQuery {
	q := authority.InclusionQuery{EventID: r.text("event_id"), Index: r.integer("index", absent, 0, maxInteger-1), Size: r.integer("size", 0, 1, maxInteger)}
	if (q.EventID == "") == (q.Index == absent) {
		r.note(invalid("/event_id", "name the receipt by event_id or by index, and not by both"))
	}
	return q
}

func (s *service) inclusion(ctx context.Context, who authority.Principal, q authority.InclusionQuery) (reply, error) {
	return ok(s.cases.ProveInclusion(ctx, who, q))
}

// span is two sizes of the log; to is 0 for the present one.
type span struct{ from, to int64 }

func readConsistency(r *request) span {
	in := span{r.integer("from", absent, 1, maxInteger), r.integer("to", 0, 1, maxInteger)}
	if in.from == absent {
		r.note(invalid("/from", "from is needed: the size of the earlier log, at least 1"))
	}
	return in
}

func (s *service) consistency(ctx context.Context, who authority.Principal, in span) (reply, error) {
	return ok(s.cases.ProveConsistency(ctx, who, in.from, in.to))
}

// tileCache is for a client's own cache: an answer to a key is never shared.
const tileCache = "private, max-age=31536000, immutable"

// checkpointNote answers with the signed head as text, where clients of C2SP tlog-tiles look for it.
func (s *service) checkpointNote(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	c, err := s.cases.Checkpoint(ctx, who)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, contentType: "text/plain; charset=utf-8", body: []byte(c.Note)}, nil
}

// readTile reads <level>/<index> or entries/<index>, where partial tiles end in .p/<width>, each in its one spelling.
func readTile(r *request) authority.Tile {
	path := r.id("tile")
	t, err := tlog.ParseTilePath("tile/8/" + strings.Replace(path, "entries/", "data/", 1))
	if err != nil || strings.HasPrefix(path, "data/") {
		r.note(refuse(authority.CodeNotFound, "this is the path of no tile: want 0/x001/234, or entries/000.p/17 for a partial tile of entries"))
		return authority.Tile{}
	}
	if t.L < 0 { // package tlog's mark of data
		return authority.Tile{Entries: true, Index: t.N, Width: t.W}
	}
	return authority.Tile{Level: t.L, Index: t.N, Width: t.W}
}

func (s *service) tile(ctx context.Context, who authority.Principal, t authority.Tile) (reply, error) {
	data, err := s.cases.Tile(ctx, who, t)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, header: map[string]string{"Cache-Control": tileCache}, contentType: typeBytes, body: data}, nil
}

func (s *service) witnesses(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return all(s.cases.Witnesses(ctx, who))
}

func readScrub(r *request) struct{} {
	r.noBody()
	return struct{}{}
}

// scrub answers with lines as they come: a large log takes minutes.
func (s *service) scrub(ctx context.Context, who authority.Principal, _ struct{}) (reply, error) {
	return reply{contentType: typeNDJSON, stream: func(w io.Writer) error {
		line := func(l api.ScrubLine) error {
			b, err := encode(l)
			if err == nil {
				_, err = w.Write(b)
			}
			return err
		}
		result, err := s.cases.Scrub(ctx, who, func(d api.Damage) error { return line(api.ScrubLine{Damage: &d}) },
			func(done, size int64) error {
				return line(api.ScrubLine{Progress: &api.ScrubProgress{Done: done, Size: size}})
			})
		if err != nil {
			return err
		}
		return line(api.ScrubLine{Result: &result})
	}}, nil
}
