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
	"strings"

	"github.com/cobound/prova/api"
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
func (s *demoStage) prove(ctx context.Context, scene int) (bool, error) {
	s.screen.scene(scene, "The proof: every run and every decision is a signed receipt in one log", "")
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
	if err := s.screen.rest(ctx, demoPause); err != nil {
		return false, err
	}
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
	f, err := os.OpenFile(filepath.Join(s.data, demoExport), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
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

// demoEdit is the change of a byte: the weight as it was and as it reads now.
type demoEdit struct {
	decision api.Action
	was, is  string
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
	out, err := os.OpenFile(filepath.Join(s.data, demoTampered), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	edit := demoEdit{decision: s.decision.Decision}
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
		if at := bytes.LastIndex(line, member); edit.was == "" && at >= 0 && bytes.Contains(line, event) {
			number := line[at+len(member):]
			number = number[:bytes.IndexByte(number, ',')]
			edit.was = string(number)
			number[0] = otherDigit(number[0])
			edit.is = string(number)
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
	if edit.was == "" {
		return fmt.Errorf("the export lacks the receipt %s", eventID)
	}
	return out.Flush()
}

// otherDigit makes a digit another one that is a weight as well.
func otherDigit(d byte) byte {
	switch d {
	case '0':
		return '5'
	case '9':
		return '8'
	}
	return d + 1
}

// checkColumn is the width of the names of checks.
const checkColumn = 16

// verified prints a report in a few lines.
func (s *demoScreen) verified(r receipt.Report) {
	s.labelled("", fmt.Sprintf("%d receipts are exported and verified offline, with nothing but the server's public keys.", r.Receipts), 1)
	for _, c := range []struct {
		name, text string
		checks     []receipt.CheckName
	}{
		{"signatures", "each is the server's (Ed25519)", []receipt.CheckName{receipt.CheckSignature, receipt.CheckKnownKey, receipt.CheckTrust}},
		{"canonical form", "each receipt is written in the one way in which it is signed", []receipt.CheckName{receipt.CheckCanonicalForm, receipt.CheckSchema}},
		{"whole log", fmt.Sprintf("indexes %d to %d, none missing, none twice", r.From, r.From+r.Receipts-1), []receipt.CheckName{receipt.CheckLogIndex, receipt.CheckUniqueEvents, receipt.CheckCompleteness}},
		{"root", "one hash over all receipts, rebuilt here, is the one that was signed", []receipt.CheckName{receipt.CheckRoot, receipt.CheckSize, receipt.CheckCheckpoint}},
	} {
		mark := s.style.Green("✓")
		if !passed(r, c.checks) {
			mark = s.style.Red("✗")
		}
		s.check(mark, c.name, c.text)
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
	decision := string(edit.decision)
	if edit.decision == api.Promote {
		decision = "promotion"
	}
	s.labelled("", fmt.Sprintf("One byte is changed in a copy: the receipt of the %s now says weight %s, not %s.", decision, edit.is, edit.was), 1)
	if r.Result == receipt.Verified {
		s.remark("The change was not noticed.")
		return
	}
	s.failures(r)
}

// failures prints the checks that did not pass.
func (s *demoScreen) failures(r receipt.Report) {
	for _, c := range r.Checks {
		if c.Status == receipt.OK {
			continue
		}
		text := cli.Plain(c.Detail)
		if c.LogIndex != nil {
			text = fmt.Sprintf("receipt %d: %s", *c.LogIndex, text)
		}
		s.check(s.style.Red("✗"), string(c.Check), text)
	}
}

// check prints one check, its text wrapped under itself.
func (s *demoScreen) check(mark, name, text string) {
	left := "     " + mark + " " + cli.Pad(name, checkColumn)
	for i, line := range cli.Wrap(text, s.columns-cli.Width(left)-1) {
		if i > 0 {
			left = strings.Repeat(" ", cli.Width(left))
		}
		s.print("%s%s", left, line)
	}
}
