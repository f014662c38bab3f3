package stats

const (
	// rowFloor bounds, once a finished baseline is in use, the cells of the law of
	// undecided paths. What is left out counts as used, so nothing is given away.
	rowFloor = 1e-20
	// rowScoreFloor does so for the law of all scores.
	rowScoreFloor = 1e-30
	// areaLimit is the number of places, rows times scores, that a law can have
	// with a row for each failure.
	areaLimit = 1 << 24
	// failureLimit is the largest block that a row for each failure is kept for.
	failureLimit = 512
)

// addHistorical adds candidate runs that are compared with the finished baseline:
// their failures are binomial in each node of the mixture.
func (t *SequentialTest) addHistorical(b Block, m Margin) {
	runs := t.historicalRuns() - b.Candidate.N // before this block
	m.OddsRatio = m.ratio()
	changed := t.nodes != nil && m != t.margin
	if t.nodes == nil {
		t.nodes, t.margin = nodesOf(t.plan.History, m), m
	}
	if changed || b.Candidate.N > failureLimit {
		t.splitByNode(runs)
	}
	t.splitIfLarge(runs, b.Candidate.N, b.Candidate.N)
	if changed {
		t.nodes, t.margin = nodesOf(t.plan.History, m), m
	}
	failures := b.Candidate.X + t.plan.History.X
	t.varied = t.varied || failures > 0 && failures < b.Candidate.N+t.plan.History.N
	step := t.step(b.Candidate.N, b.Candidate.X, b.Candidate.N)
	if t.byNode {
		t.paths = t.paths.eachConvolved(t.nodes, b.Candidate.N, step)
		t.scores = t.scores.eachConvolved(t.nodes, b.Candidate.N, step)
	} else {
		first := min(t.paths.first, t.scores.first)
		count := int(max(t.paths.last(), t.scores.last()) - first + 1)
		laws := predictions(t.nodes, first, runs, count, b.Candidate.N)
		t.paths = t.paths.extended(laws, first, b.Candidate.N, step)
		t.scores = t.scores.extended(laws, first, b.Candidate.N, step)
	}
	t.trim()
}

// splitByNode gives each node a row, after so many runs against the history.
func (t *SequentialTest) splitByNode(runs int64) {
	if !t.byNode {
		t.paths, t.scores = t.paths.byNode(t.nodes, runs), t.scores.byNode(t.nodes, runs)
		t.byNode = true
	}
}

// splitIfLarge does so before a block that adds failures and rows if the law of
// all scores is smaller then.
func (t *SequentialTest) splitIfLarge(runs, failures, rows int64) {
	if t.nodes == nil || t.byNode {
		return
	}
	spread := t.scores.hi() - t.scores.lo() + lookWeight(t.looks, t.halvings)*failures
	if int64(t.scores.size()) > nodeCount*spread || (int64(len(t.scores.rows))+rows) > areaLimit/(spread+1) {
		t.splitByNode(runs)
	}
}

// historicalRuns counts the candidate's runs against the finished baseline.
func (t *SequentialTest) historicalRuns() (runs int64) {
	for _, s := range t.strata {
		if s.design == Historical {
			runs += s.candidate.N
		}
	}
	return runs
}

// trim leaves out cells that cannot matter.
func (t *SequentialTest) trim() {
	if t.nodes == nil {
		t.paths.rows[0] = t.paths.rows[0].trimmedBelow(pathFloor)
		t.scores.rows[0] = t.scores.rows[0].trimmedBelow(scoreFloor).trimmedAbove(scoreFloor)
		return
	}
	lost := 0.0
	t.paths, lost = t.paths.trimmed(rowFloor, !t.byNode)
	t.used += lost
	if t.byNode {
		// A node far from the score is tilted until it reaches it, whose cells
		// there are small as long as the node is not.
		t.scores = t.scores.cropped(rowScoreFloor)
	} else {
		t.scores, _ = t.scores.trimmed(rowScoreFloor, true)
	}
}
