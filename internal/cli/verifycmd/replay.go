package verifycmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/cobound/prova/internal/replay"
	"github.com/cobound/prova/receipt"
)

// replayed adds to a report what came of recomputing every decision of a log
// from its runs. Only evidence that holds is recomputed: of anything else a
// decision would say nothing.
func replayed(report receipt.Report, log replay.Log) receipt.Report {
	if report.Result != receipt.Verified && report.Result != receipt.Undetermined {
		report.Checks = append(report.Checks, receipt.Check{
			Check: replay.CheckReplay, Status: receipt.Undetermined, Detail: "the evidence does not hold, so nothing was recomputed from it",
		})
		return report
	}
	checks, err := replay.All(log)
	if err != nil {
		checks = append(checks, receipt.Check{Check: replay.CheckReplay, Status: receipt.Undetermined, Detail: err.Error()})
	}
	for _, c := range checks {
		switch {
		case c.Status == receipt.Failed:
			report.Result = receipt.Failed
		case c.Status == receipt.Undetermined && report.Result == receipt.Verified:
			report.Result = receipt.Undetermined
		}
	}
	report.Checks = append(report.Checks, checks...)
	return report
}

// exportLog reads the receipts of an export, again each time.
func exportLog(open func() (io.ReadCloser, error)) replay.Log {
	return func() iter.Seq2[replay.Item, error] {
		return func(yield func(replay.Item, error) bool) {
			in, err := open()
			if err != nil {
				yield(replay.Item{}, err)
				return
			}
			defer func() { _ = in.Close() }()
			lines := bufio.NewReaderSize(in, 1<<16)
			for {
				line, err := lines.ReadBytes('\n')
				if len(line) == 0 && errors.Is(err, io.EOF) {
					return
				}
				if err != nil && !errors.Is(err, io.EOF) {
					yield(replay.Item{}, err)
					return
				}
				item, ok, err := itemOf(line)
				if ok || err != nil {
					if !yield(item, err) || err != nil {
						return
					}
				}
			}
		}
	}
}

// itemOf reads the line of a receipt; other lines are none.
func itemOf(line []byte) (replay.Item, bool, error) {
	if !bytes.HasPrefix(line, []byte(`{"log_index":`)) {
		return replay.Item{}, false, nil
	}
	var read struct {
		LogIndex int64           `json:"log_index"`
		Receipt  json.RawMessage `json:"receipt"`
	}
	if err := json.Unmarshal(line, &read); err != nil {
		return replay.Item{}, false, fmt.Errorf("a line of the export: %w", err)
	}
	r, err := receipt.Parse(read.Receipt)
	return replay.Item{Index: read.LogIndex, Receipt: r}, err == nil, err
}

// bundleLog reads the receipts of a bundle, again each time.
func bundleLog(b *receipt.Bundle) replay.Log {
	return func() iter.Seq2[replay.Item, error] {
		return func(yield func(replay.Item, error) bool) {
			err := b.Receipts(func(index int64, r receipt.Receipt) error {
				if !yield(replay.Item{Index: index, Receipt: r}, nil) {
					return errEnough
				}
				return nil
			})
			if err != nil && !errors.Is(err, errEnough) {
				yield(replay.Item{}, err)
			}
		}
	}
}

var errEnough = errors.New("no more is wanted")
