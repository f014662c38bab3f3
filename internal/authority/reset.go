package authority

import (
	"context"
	"errors"
	"maps"
	"strconv"
)

// AnchorReset is a log that goes on although receipts of it were lost.
type AnchorReset struct {
	// Org is empty for a log that the database does not hold at all.
	Org string
	Log string
	// Successor is the log's new id.
	Successor   string
	Seen, Found LogHead
}

// ResetAnchor accepts that a database went back, for good. Each log that does
// gets a new id, so that no size is ever signed with two roots under one origin,
// and a receipt that says what was lost. With confirm false it only returns what it would do.
//
// A crash in between leaves a log whose old id is still in the anchor: running
// it again drops that one, with a receipt too.
func (a *Authority) ResetAnchor(ctx context.Context, confirm bool) ([]AnchorReset, error) {
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return nil, storeError("org", err)
	}
	lost, err := a.readAnchors(orgs)
	if err != nil {
		return nil, err
	}
	var all []AnchorReset
	for id, head := range lost {
		all = append(all, AnchorReset{Log: id, Seen: head})
	}
	for _, o := range orgs {
		seen := a.anchors.known(o.Name)
		tree, err := a.checkAnchor(ctx, o.Name)
		if err == nil {
			continue
		}
		if cause, ok := errors.AsType[*Error](err); !ok || cause.Code != CodeReadOnly || cause.Cause != nil {
			return nil, err // an outage, or a damage that no reset heals
		}
		all = append(all, AnchorReset{Org: o.Name, Log: o.LogID, Successor: a.secret(10), Seen: seen, Found: headOf(tree)})
	}
	if !confirm || len(all) == 0 {
		return all, nil
	}
	if len(orgs) > 0 {
		if err := a.chooseSigner(ctx); err != nil {
			return nil, err
		}
	}
	if len(orgs) == 0 {
		if err := a.Store.CreateOrg(ctx, Org{Name: DefaultOrg, CreatedAt: a.now(), LogID: a.secret(10)}); err != nil {
			return nil, storeError("org", err)
		}
	}
	for _, r := range all {
		if err := a.resetLog(ctx, r); err != nil {
			return nil, err
		}
	}
	return all, a.anchors.drop(all)
}

func (a *Authority) resetLog(ctx context.Context, r AnchorReset) error {
	org, now := r.Org, a.now()
	object := map[string]string{"log": r.Log, "seen_size": strconv.FormatInt(r.Seen.Size, 10), "seen_root_hash": r.Seen.Root.String()}
	if org == "" {
		org = DefaultOrg
	} else {
		object["found_size"], object["found_root_hash"], object["successor"] = strconv.FormatInt(r.Found.Size, 10), r.Found.Root.String(), r.Successor
		a.anchors.forget(org)
	}
	err := a.Store.Update(ctx, org, func(tx Tx) error {
		if err := a.operatorAction(tx, System(org), now, "log.reset_anchor", object); err != nil || r.Successor == "" {
			return err
		}
		return tx.RenameLog(r.Successor)
	})
	return storeError("log", err)
}

// forget lets an org's log be written to whatever was seen of it.
func (s *anchors) forget(org string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.heads, org)
}

// drop removes logs from the anchor.
func (s *anchors) drop(all []AnchorReset) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]LogHead{}
	maps.Copy(next, s.saved)
	for _, r := range all {
		delete(next, r.Log)
	}
	if s.port == nil {
		return nil
	}
	if err := s.port.Save(next); err != nil {
		return &Error{Code: CodeUnavailable, Detail: "the anchor file in the data directory cannot be written", Cause: err}
	}
	s.saved = next
	return nil
}
