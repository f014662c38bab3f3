package httpapi

import (
	"context"
	"io"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// absent is the value of a whole number that was not given.
const absent = -1

func readSize(r *request) int64 { return r.integer("size", absent, 0, maxInteger) }

func (s *service) checkpoint(ctx context.Context, who authority.Principal, size int64) (reply, error) {
	if size == absent {
		return ok(s.cases.Checkpoint(ctx, who))
	}
	return ok(s.cases.CheckpointAt(ctx, who, size))
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
