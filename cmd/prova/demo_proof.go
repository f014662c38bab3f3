package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/receipt"
)

// The files of the proof in the data directory.
const (
	demoKeys     = "keys.json"
	demoExport   = "export.ndjson"
	demoTampered = "tampered.ndjson"
)

// prove exports the log, verifies it offline, and shows that one changed byte
// does not pass. It reports whether both came out as they should.
func (s *demoStage) prove(ctx context.Context) (bool, error) {
	s.screen.scene(3, "The proof: every run and every decision is a signed receipt in one log")
	s.screen.print("")
	trust, err := s.pin(ctx)
	if err != nil {
		return false, err
	}
	if err := s.export(ctx); err != nil {
		return false, err
	}
	report, err := s.verify(demoExport, trust)
	if err != nil {
		return false, err
	}
	s.screen.verified(report)
	edit, err := s.tamper()
	if err != nil || edit == nil {
		return report.Result == receipt.Verified, err
	}
	forged, err := s.verify(demoTampered, trust)
	if err != nil {
		return false, err
	}
	s.screen.caught(*edit, forged)
	return report.Result == receipt.Verified && forged.Result == receipt.Failed, nil
}

// pin fetches the public keys and keeps them in a file: from here on they are
// what is trusted, not what an export brings along.
func (s *demoStage) pin(ctx context.Context) (receipt.Trust, error) {
	keys, err := s.client.SigningKeys(ctx)
	if err != nil {
		return receipt.Trust{}, err
	}
	data, err := json.Marshal(keys)
	if err != nil {
		return receipt.Trust{}, err
	}
	if err := os.WriteFile(filepath.Join(s.data, demoKeys), data, 0o600); err != nil {
		return receipt.Trust{}, err
	}
	return receipt.ParsePublicKeys(data)
}

func (s *demoStage) export(ctx context.Context) error {
	stream, err := s.client.Export(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	f, err := os.Create(filepath.Join(s.data, demoExport))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, stream)
	return errors.Join(err, f.Close())
}

func (s *demoStage) verify(file string, trust receipt.Trust) (receipt.Report, error) {
	f, err := os.Open(filepath.Join(s.data, file))
	if err != nil {
		return receipt.Report{}, err
	}
	defer func() { _ = f.Close() }()
	return receipt.VerifyExport(f, trust, nil), nil
}

// demoEdit is the byte that was changed.
type demoEdit struct {
	decision string
	was, is  byte
}

// tamper copies the export and changes one byte: the first digit of the weight
// in the receipt of the last decision. It is nil if there was no decision.
func (s *demoStage) tamper() (*demoEdit, error) {
	if s.decision.EventID == "" {
		return nil, nil
	}
	in, err := os.Open(filepath.Join(s.data, demoExport))
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(filepath.Join(s.data, demoTampered))
	if err != nil {
		return nil, err
	}
	edit := demoEdit{decision: string(s.decision.Decision)}
	err = editExport(out, in, s.decision.EventID, &edit)
	if err = errors.Join(err, out.Close()); err != nil {
		return nil, err
	}
	return &edit, nil
}

// editExport copies an export and makes the edit in the receipt of an event.
func editExport(to io.Writer, from io.Reader, eventID string, edit *demoEdit) error {
	// The members of a receipt are in canonical order, so the weight of the
	// decision itself is the last one of this name.
	member, event := []byte(`"weight":`), []byte(`"event_id":"`+eventID+`"`)
	in, out := bufio.NewReader(from), bufio.NewWriter(to)
	for {
		line, err := in.ReadBytes('\n')
		if at := bytes.LastIndex(line, member); edit.was == 0 && at >= 0 && bytes.Contains(line, event) {
			digit := &line[at+len(member)]
			edit.was, edit.is = *digit, *digit+1
			switch *digit {
			case '0':
				edit.is = '5'
			case '9':
				edit.is = '8'
			}
			*digit = edit.is
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if edit.was == 0 {
		return fmt.Errorf("the export lacks the receipt %s", eventID)
	}
	return out.Flush()
}

// verified prints a report in a few lines.
func (s *demoScreen) verified(r receipt.Report) {
	s.labelled("", fmt.Sprintf("%d receipts were exported and verified offline, with the server's public keys as the only trust:", r.Receipts), 1)
	for _, c := range []struct {
		text   string
		checks []receipt.CheckName
	}{
		{"every signature is by the server's key", []receipt.CheckName{receipt.CheckSignature, receipt.CheckKnownKey, receipt.CheckTrust}},
		{"every receipt has the one canonical form of its content", []receipt.CheckName{receipt.CheckCanonicalForm, receipt.CheckSchema}},
		{fmt.Sprintf("the log is whole: indexes %d to %d, none missing, none twice", r.From, r.From+r.Receipts-1), []receipt.CheckName{receipt.CheckLogIndex, receipt.CheckUniqueEvents, receipt.CheckCompleteness}},
		{"the Merkle root rebuilt from the receipts is the one the server signed", []receipt.CheckName{receipt.CheckRoot, receipt.CheckSize, receipt.CheckCheckpoint}},
	} {
		mark := s.style.Green("✓")
		if !passed(r, c.checks) {
			mark = s.style.Red("✗")
		}
		s.print("     %s %s", mark, c.text)
	}
	if r.Result != receipt.Verified {
		s.failures(r)
	}
}

// passed reports whether each of some checks was made and holds.
func passed(r receipt.Report, names []receipt.CheckName) bool {
	made := map[receipt.CheckName]bool{}
	for _, c := range r.Checks {
		if was, found := made[c.Check]; !found || was {
			made[c.Check] = c.Status == receipt.OK
		}
	}
	for _, name := range names {
		if !made[name] {
			return false
		}
	}
	return true
}

// caught shows what a changed byte leads to.
func (s *demoScreen) caught(edit demoEdit, r receipt.Report) {
	s.print("")
	s.labelled("", fmt.Sprintf("Now one byte of a copy is changed: in the receipt of the %s, the weight begins with %c instead of %c:", edit.decision, edit.is, edit.was), 1)
	if r.Result == receipt.Verified {
		s.remark("The change was not noticed.")
		return
	}
	s.failures(r)
}

func (s *demoScreen) failures(r receipt.Report) {
	for _, c := range r.Checks {
		if c.Status == receipt.OK {
			continue
		}
		where := ""
		if c.LogIndex != nil {
			where = fmt.Sprintf("receipt %d: ", *c.LogIndex)
		}
		s.print("     %s %s", s.style.Red("✗"), cli.Cut(cli.Pad(string(c.Check), 10)+where+cli.Plain(c.Detail), s.columns-8))
	}
}
