package authority

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cobound/prova/receipt"
)

// Anchor keeps the heads of logs in a place that a restored backup or a
// failover of the database does not touch.
type Anchor interface {
	// Load reads the heads that were saved, by the id of their log.
	Load() (map[string]LogHead, error)
	// Save replaces them; when it returns nil they survive a power cut.
	Save(heads map[string]LogHead) error
}

// LogHead is a head that was shown or is about to be.
type LogHead struct {
	Size int64
	Root tlog.Hash
}

func (h LogHead) String() string { return fmt.Sprintf("size %d, root %s", h.Size, h.Root) }

// anchors knows for each org a head that its log must continue: the newest that
// this server has seen committed. A log that does not is not written to.
type anchors struct {
	port Anchor // nil keeps nothing outside the database

	mu    sync.Mutex
	heads map[string]*anchored // by org
	saved map[string]LogHead   // by log id
}

// anchored is what is known of an org's log.
type anchored struct {
	// kept is the head that was kept outside the database when the server
	// started; tree, once it is not smaller, the newest that was seen committed.
	kept LogHead
	tree receipt.Tree
	// refused says why the log is not written to; nil if it is.
	refused *Error
}

func (k *anchored) head() LogHead {
	if k.tree.Size() < k.kept.Size {
		return k.kept
	}
	return headOf(k.tree)
}

// continues reports whether t can follow the known head as far as t alone tells.
func (k *anchored) continues(t receipt.Tree) bool {
	known := max(k.tree.Size(), k.kept.Size)
	switch {
	case t.Size() != known:
		return t.Size() > known
	case t.Size() == k.tree.Size(): // without hashing: every append comes here
		return t.Equal(k.tree)
	}
	return t.Root() == k.kept.Root
}

func headOf(t receipt.Tree) LogHead { return LogHead{Size: t.Size(), Root: t.Root()} }

func newAnchors(port Anchor) *anchors {
	return &anchors{port: port, heads: map[string]*anchored{}, saved: map[string]LogHead{}}
}

func (s *anchors) of(org string) *anchored {
	k := s.heads[org]
	if k == nil {
		k = &anchored{}
		s.heads[org] = k
	}
	return k
}

func (s *anchors) known(org string) LogHead {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(org).head()
}

// refusal is why the org's log is not written to, or nil.
func (s *anchors) refusal(org string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.of(org).refused; e != nil {
		return e
	}
	return nil
}

// refused reports whether any log is not written to.
func (s *anchors) refused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.heads {
		if k.refused != nil {
			return true
		}
	}
	return false
}

// refuse ends writing to an org's log; nil allows it again. It reports whether that is news.
func (s *anchors) refuse(org string, because *Error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(org)
	news := (k.refused == nil) != (because == nil)
	k.refused = because
	return news
}

// note keeps a tree that was committed, unless a larger one is known.
func (s *anchors) note(org string, t receipt.Tree) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.of(org); t.Size() >= k.tree.Size() && t.Size() >= k.kept.Size {
		k.tree = t
	}
}

// admit looks at a head that was just locked. A larger log than the known one
// is another server's progress, which [Authority.checkAnchor] looks into.
func (s *anchors) admit(org string, t receipt.Tree) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.of(org)
	if k.refused == nil && !k.continues(t) {
		k.refused = wentBack(k.head(), headOf(t))
	}
	if k.refused != nil {
		return k.refused
	}
	return nil
}

// wentBack is the refusal to write to a log that does not continue the known head.
func wentBack(known, found LogHead) *Error {
	how := fmt.Sprintf("has lost receipts: it ends with %s", found)
	if found.Size >= known.Size {
		how = fmt.Sprintf("is another one: at that size it has the root %s", found.Root)
	}
	return fail(CodeReadOnly, "nothing is written, because the log in the database %s, and this server has seen it with %s. A backup was restored, or a failover lost commits. "+
		"Bring back the database that holds the missing receipts; if they are lost for good, stop the server and run prova log reset-anchor --yes, which says so in the log for ever", how, known)
}

// checkAnchor compares the log in the database with the known head, and allows
// or ends writing to it. The error is of an outage only.
func (a *Authority) checkAnchor(ctx context.Context, org string) (receipt.Tree, error) {
	known := a.anchors.known(org) // before the snapshot, which is never older than what was committed by now
	var tree receipt.Tree
	var because *Error
	err := a.hashes(ctx, org, func(_ Snapshot, head Head, source receipt.HashSource) error {
		tree, because = head.Tree, nil
		if tree.Size() < known.Size {
			because = wentBack(known, headOf(tree))
			return nil
		}
		root, err := tree.RootAt(known.Size, source)
		if err == nil && known.Size > 0 && root != known.Root {
			because = wentBack(known, LogHead{Size: known.Size, Root: root})
		}
		return err
	})
	if CodeOf(err) == CodeInternal && err != nil {
		because = &Error{Code: CodeReadOnly, Detail: "nothing is written, because the stored log does not agree with itself: run prova log scrub, which names what is damaged", Cause: err}
		err = nil
	}
	if err != nil {
		return tree, err
	}
	if a.anchors.refuse(org, because) {
		if because != nil {
			a.Log.Error("the log of an org is not written to any more", "org", org, "error", because)
		} else {
			a.Log.Warn("the log of an org is written to again", "org", org)
		}
	}
	if because != nil {
		return tree, because
	}
	a.anchors.note(org, tree)
	return tree, nil
}

// moveAnchor checks the org's log and keeps its head outside the database. It
// comes before a checkpoint is shown: what was shown is never forgotten.
func (a *Authority) moveAnchor(ctx context.Context, org, logID string) (receipt.Tree, error) {
	tree, err := a.checkAnchor(ctx, org)
	if err != nil {
		return tree, err
	}
	if err := a.anchors.save(org, logID); err != nil {
		return tree, &Error{Code: CodeUnavailable, Detail: "the anchor file in the data directory cannot be written", Cause: err}
	}
	return tree, nil
}

func (s *anchors) save(org, logID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.of(org).head()
	if s.port == nil || head.Size <= s.saved[logID].Size {
		return nil
	}
	next := maps.Clone(s.saved)
	next[logID] = head
	if err := s.port.Save(next); err != nil {
		return err
	}
	s.saved = next
	return nil
}

// MoveAnchors checks the logs of all orgs against what this server knows of
// them and keeps their heads outside the database. A server calls it now and
// then and when it ends. What was erased and could not be forgotten then, is.
func (a *Authority) MoveAnchors(ctx context.Context) error {
	if a.forget.Load() {
		a.forgetErased(ctx)
	}
	orgs, err := a.Store.Orgs(ctx)
	if err != nil {
		return storeError("org", err)
	}
	for _, o := range orgs {
		if _, err := a.moveAnchor(ctx, o.Name, o.LogID); err != nil && CodeOf(err) != CodeReadOnly {
			return err
		}
	}
	return nil
}

// loadAnchors checks all logs against the heads kept outside the database,
// before anything is written.
func (a *Authority) loadAnchors(ctx context.Context, orgs []Org) error {
	lost, err := a.readAnchors(orgs)
	if err != nil {
		return err
	}
	for id, head := range lost {
		return fail(CodeReadOnly, "the database does not hold the log %s, which this server has seen with %s. Start it with the database that does; "+
			"if that is lost for good, run prova log reset-anchor --yes, which says so in the log for ever", id, head)
	}
	for _, o := range orgs {
		if _, err := a.checkAnchor(ctx, o.Name); err != nil && CodeOf(err) != CodeReadOnly {
			return err
		}
	}
	return nil
}

// readAnchors takes over the heads kept outside the database and returns those of logs that are not in it.
func (a *Authority) readAnchors(orgs []Org) (lost map[string]LogHead, err error) {
	if a.anchors.port == nil {
		return nil, nil
	}
	saved, err := a.anchors.port.Load()
	if err != nil {
		return nil, &Error{Code: CodeUnavailable, Detail: "the anchor file in the data directory cannot be read", Cause: err}
	}
	lost = maps.Clone(saved)
	a.anchors.mu.Lock()
	defer a.anchors.mu.Unlock()
	a.anchors.saved = saved
	for _, o := range orgs {
		if head, ok := saved[o.LogID]; ok {
			a.anchors.heads[o.Name] = &anchored{kept: head}
			delete(lost, o.LogID)
		}
	}
	return lost, nil
}

// guarded is a store that is not written to where a log went back, and that
// remembers the heads that it committed.
type guarded struct {
	Store
	anchors *anchors
}

func (g guarded) Update(ctx context.Context, org string, fn func(Tx) error) error {
	if err := g.anchors.refusal(org); err != nil {
		return err
	}
	var last *guardedTx
	err := g.Store.Update(ctx, org, func(tx Tx) error {
		last = &guardedTx{Tx: tx, org: org, anchors: g.anchors}
		return fn(last)
	})
	if err == nil && last != nil && last.appended {
		g.anchors.note(org, last.after.Tree)
	}
	return err
}

type guardedTx struct {
	Tx
	org      string
	anchors  *anchors
	appended bool
	after    Head
}

func (t *guardedTx) LockHead() (Head, error) {
	head, err := t.Tx.LockHead()
	if err == nil && !t.appended { // else it is this transaction's own
		err = t.anchors.admit(t.org, head.Tree)
	}
	return head, err
}

func (t *guardedTx) Append(entries []Entry, after Head) error {
	if err := t.Tx.Append(entries, after); err != nil {
		return err
	}
	t.appended, t.after = true, after
	return nil
}
