package receipt

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Policy says which witnesses are believed and how many of them must have
// cosigned a checkpoint: what a C2SP tlog-policy holds. The zero value is no
// policy, and asks for nothing.
type Policy struct {
	// Logs are the verifier keys of the logs that the policy is for; none leaves them to other means.
	Logs []string
	// Witnesses are all that are known, in the order of the text.
	Witnesses []PolicyWitness
	groups    map[string]group
	quorum    string // the name of a witness or a group, "none", or empty for no policy
}

// PolicyWitness is a witness under the name that the policy gives it.
type PolicyWitness struct {
	Name string
	Witness
	// URL is the witness's submission prefix; empty where only verification is meant.
	URL string
}

// group is met if k of its members are.
type group struct {
	k       int
	members []string
}

// maxPolicy bounds the text of a policy, and maxWitnesses what it names.
const (
	maxPolicy    = 256 << 10
	maxWitnesses = 64
)

// ParsePolicy reads lines of a C2SP tlog-policy: "log VKEY [URL]", "witness
// NAME VKEY [URL]", "group NAME all|any|K MEMBER…" and one "quorum NAME|none",
// with blank lines and lines that begin with #. Names are defined before they
// are used; no key stands twice, not even as a log's and a witness's.
func ParsePolicy(data []byte) (Policy, error) {
	p := newPolicyReader()
	if len(data) > maxPolicy {
		return Policy{}, fmt.Errorf("a policy has at most %d bytes", maxPolicy)
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		if err := p.line(strings.TrimSuffix(line, "\n")); err != nil {
			return Policy{}, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if p.quorum == "" {
		return Policy{}, errors.New("the policy has no quorum line: end it with quorum NAME of a witness or a group, or with quorum none")
	}
	return p.Policy, nil
}

// NewPolicy asks for k of the witnesses with these verifier keys.
func NewPolicy(k int, vkeys ...string) (Policy, error) {
	p := newPolicyReader()
	names := make([]string, len(vkeys))
	for i, vkey := range vkeys {
		w, err := ParseWitness(vkey)
		if err != nil {
			return Policy{}, fmt.Errorf("witness %s: %w", quote(vkey), err)
		}
		if names[i] = w.name; p.define(w.name) != nil {
			names[i] = fmt.Sprintf("%s+%08x", w.name, w.hash)
		}
		if err := p.witness([]string{names[i], vkey}); err != nil {
			return Policy{}, fmt.Errorf("witness %s: %w", quote(vkey), err)
		}
	}
	p.quorum = "the witnesses given" // no name of a witness holds a space
	if err := p.group(append([]string{p.quorum, strconv.Itoa(k)}, names...)); err != nil {
		return Policy{}, err
	}
	return p.Policy, nil
}

// policyReader is a policy while it is read.
type policyReader struct {
	Policy
	used map[string]bool // names that are a member of a group
	keys map[string]bool // public keys that stand in a line
}

func newPolicyReader() *policyReader {
	return &policyReader{Policy: Policy{groups: map[string]group{}}, used: map[string]bool{}, keys: map[string]bool{}}
}

func (p *policyReader) line(line string) error {
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("a control character; lines end in a line feed and hold spaces and tabs")
	}
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	switch rest := fields[1:]; fields[0] {
	case "log":
		return p.log(rest)
	case "witness":
		return p.witness(rest)
	case "group":
		return p.group(rest)
	case "quorum":
		if p.quorum != "" {
			return errors.New("a second quorum")
		}
		if len(rest) != 1 || rest[0] != "none" && !p.defined(rest[0]) {
			return errors.New("want quorum and the name of a witness or a group that is defined above, or none")
		}
		p.quorum = rest[0]
		return nil
	}
	return fmt.Errorf("%s: a line begins with log, witness, group or quorum", quote(fields[0]))
}

// take refuses a public key that stands in an earlier line.
func (p *policyReader) take(pub []byte) error {
	if p.keys[string(pub)] {
		return errors.New("this key stands in an earlier line")
	}
	if len(p.keys) == maxWitnesses {
		return fmt.Errorf("a policy names at most %d keys", maxWitnesses)
	}
	p.keys[string(pub)] = true
	return nil
}

func (p *policyReader) log(rest []string) error {
	if len(rest) < 1 || len(rest) > 2 {
		return errors.New("want log VKEY [URL]")
	}
	pub, err := vkeyPublic(rest[0])
	if err != nil {
		return err
	}
	p.Logs = append(p.Logs, rest[0])
	return p.take(pub)
}

func (p *policyReader) witness(rest []string) error {
	if len(rest) < 2 || len(rest) > 3 {
		return errors.New("want witness NAME VKEY [URL]")
	}
	if err := p.define(rest[0]); err != nil {
		return err
	}
	w, err := ParseWitness(rest[1])
	if err != nil {
		return err
	}
	found := PolicyWitness{Name: rest[0], Witness: w}
	if len(rest) == 3 {
		found.URL = rest[2]
	}
	p.Witnesses = append(p.Witnesses, found)
	return p.take(w.pub)
}

func (p *policyReader) group(rest []string) error {
	if len(rest) < 3 {
		return errors.New("want group NAME all|any|K MEMBER…")
	}
	name, members := rest[0], rest[2:]
	if err := p.define(name); err != nil {
		return err
	}
	if len(p.groups) == maxWitnesses {
		return fmt.Errorf("a policy has at most %d groups", maxWitnesses)
	}
	g := group{members: slices.Clone(members)}
	switch rest[1] {
	case "any":
		g.k = 1
	case "all":
		g.k = len(members)
	default:
		k, ok := parseSize(rest[1])
		if !ok || k < 1 || k > int64(len(members)) {
			return fmt.Errorf("%s of %d members: want any, all or a number from 1 to %d", quote(rest[1]), len(members), len(members))
		}
		g.k = int(k)
	}
	for _, m := range members {
		if !p.defined(m) {
			return fmt.Errorf("%s is not defined above", quote(m))
		}
		if p.used[m] {
			return fmt.Errorf("%s is a member already: each counts once", quote(m))
		}
		p.used[m] = true
	}
	p.groups[name] = g
	return nil
}

func (p *policyReader) defined(name string) bool {
	_, isGroup := p.groups[name]
	return isGroup || slices.ContainsFunc(p.Witnesses, func(w PolicyWitness) bool { return w.Name == name })
}

func (p *policyReader) define(name string) error {
	if name == "none" || p.defined(name) {
		return fmt.Errorf("the name %s is taken", quote(name))
	}
	return nil
}

// Given reports whether p is a policy at all.
func (p Policy) Given() bool { return p.quorum != "" }

// Met reports whether the cosignatures of witnesses, by their place in
// p.Witnesses, are enough.
func (p Policy) Met(cosigned []bool) bool {
	if p.quorum == "" || p.quorum == "none" {
		return true
	}
	met := map[string]bool{}
	for i, w := range p.Witnesses {
		met[w.Name] = cosigned[i]
	}
	var count func(name string) bool
	count = func(name string) bool {
		g, ok := p.groups[name]
		if !ok {
			return met[name]
		}
		n := 0
		for _, m := range g.members {
			if count(m) {
				n++
			}
		}
		return n >= g.k
	}
	return count(p.quorum)
}

// String says what is asked for, for people.
func (p Policy) String() string {
	if p.quorum == "" || p.quorum == "none" {
		return "no witness is asked for"
	}
	if g, ok := p.groups[p.quorum]; ok {
		return fmt.Sprintf("%d of %d", g.k, len(g.members))
	}
	return "the witness " + quote(p.quorum)
}
