package clientcmd

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/cli"
)

// maxLabelLine is far above any answer that a judge reads, in bytes.
const maxLabelLine = 16 << 20

// labelledProbe names a pair.
type labelledProbe struct {
	Environment, Baseline, Candidate, Probe string
}

// label is a line of the file: what people say of a pair, and perhaps its texts.
type label struct {
	AppID           string          `json:"app_id"`
	Environment     string          `json:"environment"`
	Baseline        string          `json:"baseline_release"`
	Candidate       string          `json:"candidate_release"`
	Probe           string          `json:"probe_id"`
	Verdict         api.Preference  `json:"verdict"`
	Input           json.RawMessage `json:"input"`
	BaselineOutput  json.RawMessage `json:"baseline_output"`
	CandidateOutput json.RawMessage `json:"candidate_output"`
}

func (l label) pair() labelledProbe {
	return labelledProbe{l.Environment, l.Baseline, l.Candidate, l.Probe}
}

func (l label) hasTexts() bool { return l.BaselineOutput != nil && l.CandidateOutput != nil }

// readLabels reads a file of labels, all of one agent and either all with texts
// or none. An error names its line.
func readLabels(name, appID string) ([]label, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var labels []label
	seen := map[labelledProbe]int{}
	r := bufio.NewReader(io.LimitReader(f, 1<<32))
	for number := 1; ; number++ {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if len(line) == 0 {
			continue
		}
		l, err := parseLabel(line, appID)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if first, ok := seen[l.pair()]; ok {
			return nil, fmt.Errorf("%s:%d: the pair has a label in line %d; settle on one, such as that of most people", name, number, first)
		}
		seen[l.pair()] = number
		labels = append(labels, l)
		if o := labels[0]; o.AppID != l.AppID {
			return nil, fmt.Errorf("%s:%d: app_id is %s, and %s above; a calibration is of one agent", name, number, cli.Plain(l.AppID), cli.Plain(o.AppID))
		} else if o.hasTexts() != l.hasTexts() {
			return nil, fmt.Errorf("%s:%d: want baseline_output and candidate_output in all lines or in none", name, number)
		}
	}
	if len(labels) == 0 {
		return nil, fmt.Errorf("%s holds no labels", name)
	}
	return labels, nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLabelLine {
			return nil, fmt.Errorf("the line has more than %d bytes", maxLabelLine)
		}
		switch {
		case err == nil || errors.Is(err, io.EOF) && len(line) > 0:
			return bytes.TrimSpace(line), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func parseLabel(line []byte, appID string) (label, error) {
	var l label
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return l, err
	}
	if dec.More() {
		return l, errors.New("want one label in each line")
	}
	if appID != "" {
		l.AppID = appID
	}
	for _, m := range []struct{ name, value string }{{"app_id", l.AppID}, {"baseline_release", l.Baseline}, {"candidate_release", l.Candidate}, {"probe_id", l.Probe}} {
		if m.value == "" {
			return l, fmt.Errorf("%s is missing", m.name)
		}
	}
	switch l.Verdict {
	case api.PreferBaseline, api.PreferCandidate, api.PreferTie:
	default:
		return l, fmt.Errorf("verdict is %q; want baseline, candidate or tie", cli.Plain(string(l.Verdict)))
	}
	if (l.BaselineOutput == nil) != (l.CandidateOutput == nil) {
		return l, errors.New("want both baseline_output and candidate_output, or neither")
	}
	return l, nil
}
