package stats

import "math"

const (
	nodeCount = 41
	// certainty is the distance from 1 that an absolute margin leaves a rate.
	certainty = 1e-9
	// refresh is after how many failures the posterior is computed anew. Between
	// two, a node that was out of the range of floats cannot come to matter.
	refresh = 16
)

// node is one of the rates that a finished baseline is believed to have had,
// with the margin on top.
type node struct {
	weight, logWeight float64
	odds              float64 // of failure
	logRate, logRest  float64 // ln p, ln (1-p)
}

// nodesOf returns the base rate given x failures in n runs that are finished, as
// a mixture of nodeCount rates, evenly spaced in the logarithm of their odds,
// weighted as Beta(x+1, n-x): under that law P(X >= x) of one block is the
// one-sided p-value of Fisher's test. The margin is added to each rate.
func nodesOf(history Proportion, m Margin) []node {
	a, b := float64(history.X)+1, float64(history.N-history.X)
	if b == 0 {
		b = 0.5
	}
	centre, spread := Log(a/b), math.Sqrt(1/a+1/b)
	nodes := make([]node, nodeCount)
	greatest, sum := math.Inf(-1), 0.0
	for j := range nodes {
		theta := centre + float64(spread*(-8+float64(14*float64(j))/40))
		down, up := 1+Exp(-theta), 1+Exp(theta)
		nodes[j].weight = -float64(a*Log(down)) - float64(b*Log(up))
		greatest = max(greatest, nodes[j].weight)
		nodes[j].at(1/down, 1/up, m)
	}
	for j := range nodes {
		nodes[j].weight = Exp(nodes[j].weight - greatest)
		sum += nodes[j].weight
	}
	for j := range nodes {
		nodes[j].weight /= sum
		nodes[j].logWeight = Log(nodes[j].weight)
	}
	return nodes
}

// at sets the rate, with its complement rest, to what the margin makes of it.
func (n *node) at(rate, rest float64, m Margin) {
	if m.Absolute > 0 {
		rate = min(rate+m.Absolute, 1-certainty)
		rest = 1 - rate
	}
	n.odds = rate / rest
	if ratio := m.ratio(); ratio != 1 {
		n.odds = float64(n.odds * ratio)
		rate, rest = n.odds/(1+n.odds), 1/(1+n.odds)
	}
	n.logRate, n.logRest = Log(rate), Log(rest)
}

// posterior is what is believed of the nodes after failures in runs, up to a
// factor that is the same for all.
type posterior struct {
	nodes          []node
	failures, runs int64
	age            int // failures since the last computation
	p              [nodeCount]float64
}

func posteriorOf(nodes []node, failures, runs int64) posterior {
	p := posterior{nodes: nodes, failures: failures, runs: runs}
	p.compute()
	return p
}

func (p *posterior) compute() {
	x, rest := float64(p.failures), float64(p.runs-p.failures)
	greatest := math.Inf(-1)
	for j, n := range p.nodes {
		l := n.logWeight + float64(x*n.logRate) + float64(rest*n.logRest)
		p.p[j] = l
		greatest = max(greatest, l)
	}
	for j := range p.p {
		p.p[j] = Exp(p.p[j] - greatest)
	}
	p.age = 0
}

// next moves on to one failure more among as many runs.
func (p *posterior) next() {
	p.failures++
	if p.age++; p.age == refresh {
		p.compute()
		return
	}
	for j := range p.p {
		p.p[j] *= p.nodes[j].odds
	}
}

// shares returns the posterior, adding up to 1.
func (p *posterior) shares() [nodeCount]float64 {
	ones := [nodeCount]float64{}
	for j := range ones {
		ones[j] = 1
	}
	shares, scale := p.p, 1/dot(&p.p, &ones)
	for j := range shares {
		shares[j] *= scale
	}
	return shares
}

// predictions returns the laws of the failures in m more runs, m+1 numbers each,
// after first, first+1, ... failures in runs, count of them.
func predictions(nodes []node, first, runs int64, count int, m int64) []float64 {
	byFailures := make([][nodeCount]float64, m+1)
	law := chances{cells: make([]float64, m+1)}
	for j, n := range nodes {
		law.fillBinomial(m, binomialMode(m, n.odds), n.odds)
		for x, q := range law.cells {
			byFailures[x][j] = q
		}
	}
	all := make([]float64, 0, count*int(m+1))
	p := posteriorOf(nodes, first, runs)
	for i := range count {
		if i > 0 {
			p.next()
		}
		sum := 0.0
		for x := range byFailures {
			q := dot(&p.p, &byFailures[x])
			sum += q
			all = append(all, q)
		}
		law := all[len(all)-len(byFailures):]
		for x := range law {
			law[x] /= sum
		}
	}
	return all
}

// dot returns the sum of products, in four parts that a CPU can add side by side.
func dot(a, b *[nodeCount]float64) float64 {
	s0, s1, s2, s3 := float64(a[40]*b[40]), 0.0, 0.0, 0.0
	for i := 0; i < nodeCount-1; i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	return (s0 + s1) + (s2 + s3)
}
