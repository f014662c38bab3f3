// Package verifycmd has the command that verifies evidence: the program
// prova-verify, and `prova verify`. It reads files and nothing else: it needs
// no server and no account, and links no network and no database.
package verifycmd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"

	"github.com/cobound/prova/internal/cli"
	"github.com/cobound/prova/receipt"
)

// Verify verifies receipts, exports and bundles.
type Verify struct {
	File   []string `arg:"" name:"file" help:"Receipts, exports and bundles (a tar, or the directory of an unpacked one); - is stdin."`
	Key    []string `placeholder:"KEY" sep:"none" help:"A public key that is trusted, or a file of them: as the key endpoint answers, or one in each line. May be repeated. Without it an export or a bundle is only checked against the keys that it brings along."`
	Head   []string `placeholder:"FILE" sep:"none" help:"A checkpoint that was saved earlier and that the log must continue. May be repeated."`
	Policy string   `placeholder:"FILE" help:"Which witnesses must have cosigned the checkpoint, and how many of them: a C2SP tlog-policy, with lines such as 'witness NAME VKEY', 'group NAME 2 MEMBER…' and 'quorum NAME'."`
	// Replay recomputes what was decided.
	Replay bool `help:"Also recompute every decision of a rollout from the runs in the file, and compare the bytes with those that were signed."`
	JSON   bool `name:"json" help:"Print the reports as JSON, one line for each file."`
}

// Help shows an example and the exit codes.
func (Verify) Help() string {
	return `Every check is listed with what was expected and found. The exit code is 0 if everything was verified, 1 if evidence is bad, 2 if a file is no evidence at all, 3 if something could not be determined. Of several files the worst counts: bad before malformed before undetermined.

Example:

  prova-verify --key keys.json --replay evidence.tar`
}

// result is what is printed of one file.
type result struct {
	File string `json:"file"`
	receipt.Report
}

// Run verifies.
func (c Verify) Run(ctx context.Context, env *cli.Env) error {
	trust, err := c.trust()
	if err != nil {
		return err
	}
	worst := cli.Done
	for _, name := range c.File {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		report, err := c.file(ctx, env, name, trust)
		if err != nil {
			return err
		}
		if c.JSON {
			err = env.PrintJSON(result{name, report})
		} else {
			err = env.Print(text(name, report, env.Out()))
		}
		if err != nil {
			return err
		}
		worst = worse(worst, exitOf(report.Result))
	}
	return cli.Exit(worst)
}

func exitOf(result string) int {
	switch result {
	case receipt.Verified:
		return cli.Done
	case receipt.Failed:
		return cli.Regressed
	case receipt.Malformed:
		return cli.Malformed
	}
	return cli.Undecided
}

// worse orders the codes: bad evidence, no evidence, not known, verified.
func worse(a, b int) int {
	switch {
	case a == cli.Done:
		return b
	case b == cli.Done:
		return a
	}
	return min(a, b)
}

// trust reads what the auditor believes beforehand.
func (c Verify) trust() (receipt.Trust, error) {
	var trust receipt.Trust
	for _, key := range c.Key {
		data := []byte(key)
		if content, err := os.ReadFile(key); err == nil {
			data = content
		} else if !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "name too long") {
			return trust, cli.Configf("--key %s: %w", key, err)
		}
		t, err := receipt.ParsePublicKeys(data)
		if err != nil {
			return trust, cli.Configf("--key %s: neither a file nor a public key: %w", key, err)
		}
		if trust.Receipt == nil {
			trust.Receipt = receipt.KeySet{}
		}
		maps.Copy(trust.Receipt, t.Receipt)
		trust.Checkpoint = append(trust.Checkpoint, t.Checkpoint...)
		trust.CheckpointKeys = append(trust.CheckpointKeys, t.CheckpointKeys...)
	}
	for _, name := range c.Head {
		data, err := os.ReadFile(name)
		if err != nil {
			return trust, cli.Configf("--head: %w", err)
		}
		head, err := receipt.ParseCheckpoint(string(data))
		if err != nil {
			return trust, cli.Configf("--head %s: %w", name, err)
		}
		trust.Heads = append(trust.Heads, head)
	}
	if c.Policy == "" {
		return trust, nil
	}
	data, err := os.ReadFile(c.Policy)
	if err != nil {
		return trust, cli.Configf("--policy: %w", err)
	}
	if trust.Policy, err = receipt.ParsePolicy(data); err != nil {
		return trust, cli.Configf("--policy %s: %w", c.Policy, err)
	}
	return trust, nil
}

// text is a report for people.
func text(name string, r receipt.Report, style cli.Style) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", style.Bold(cli.Plain(name)), word(r.Result, style))
	if r.Receipts > 1 || r.Size > 0 {
		if r.Scope != "" {
			fmt.Fprintf(&b, "  %s", style.Dim(cli.Plain(r.Scope)+","))
		}
		fmt.Fprintf(&b, "  %s", style.Dim(fmt.Sprintf("%d receipts from index %d, org %s", r.Receipts, r.From, cli.Plain(r.Org))))
	}
	b.WriteString("\n")
	width := 0
	for _, c := range r.Checks {
		width = max(width, len(c.Check))
	}
	for _, c := range r.Checks {
		b.WriteString(check(c, width, style))
	}
	if r.Omitted > 0 {
		fmt.Fprintf(&b, "  … and %d more that are not listed\n", r.Omitted)
	}
	if !r.KeysPinned {
		b.WriteString(style.Yellow("  No trusted key was given: at best the file agrees with itself. Get the keys from somebody you trust and pass them with --key.") + "\n")
	}
	return b.String()
}

func word(result string, style cli.Style) string {
	switch result {
	case receipt.Verified:
		return style.Bold(style.Green(result))
	case receipt.Failed, receipt.Malformed:
		return style.Bold(style.Red(result))
	}
	return style.Bold(style.Yellow(result))
}

func check(c receipt.Check, width int, style cli.Style) string {
	mark := style.Yellow("?")
	switch c.Status {
	case receipt.OK:
		mark = style.Green("✓")
	case receipt.Failed:
		mark = style.Red("✗")
	}
	where := ""
	if c.LogIndex != nil {
		where = "index " + strconv.FormatInt(*c.LogIndex, 10) + "  "
	}
	if c.EventID != "" {
		where += cli.Plain(c.EventID) + "  "
	}
	line := fmt.Sprintf("  %s %s  %s%s\n", mark, cli.Pad(string(c.Check), width), where, cli.Plain(c.Detail))
	indent := strings.Repeat(" ", width+6)
	if c.Expected != "" {
		line += indent + style.Dim("expected ") + cli.Plain(c.Expected) + "\n"
	}
	if c.Found != "" {
		line += indent + style.Dim("found    ") + cli.Plain(c.Found) + "\n"
	}
	return line
}
