package stats

// cohort is the units of one cohort in all strata, laid out for resampling. Two
// statistics are taken of it: its mean over runs, and its part in the
// difference, the mean of the strata's means by the weights of the strata.
type cohort struct {
	arms []arm
	// groups, if not empty, is drawn from instead of the arms: influences of
	// groups of units, on the part (sum) and on the mean (count).
	groups urn
	plain  twoMeans // of the data
}

// arm is a cohort in one stratum.
type arm struct {
	urn
	mean           float64
	runs           float64
	ofRuns, weight float64 // its shares of the cohort's runs, and of the weights
}

// twoMeans is one value of a cohort's two statistics.
type twoMeans struct{ mean, part float64 }

// cohortOf lays out a list of units for each stratum; weights are the strata's
// shares in the difference. Units without a run are left out, and strata
// without a unit. maxUnits bounds the number of units drawn, 0 does not.
func cohortOf(strata [][]Unit, weights []float64, maxUnits int) cohort {
	var c cohort
	runs, units := 0.0, 0
	for k, list := range strata {
		if a := armOf(list); a.size() > 0 {
			a.weight = weights[k]
			runs += a.runs
			units += a.size()
			c.arms = append(c.arms, a)
		}
	}
	for k := range c.arms {
		c.arms[k].ofRuns = c.arms[k].runs / runs
	}
	c.plain = c.of(func(a *arm) float64 { return a.mean })
	if maxUnits > 0 && (units > maxUnits || len(c.arms) > maxStrata) {
		c.groups.cells = c.influences(min(units, maxUnits))
	}
	return c
}

func armOf(list []Unit) arm {
	var a arm
	cells, single := make([]cell64, 0, len(list)), true
	var total Unit
	for _, u := range list {
		if u.Count > 0 {
			cells = append(cells, cell64{sum: u.Sum.Float64(), count: float64(u.Count)})
			total = total.plus(u)
			single = single && u.Count == 1
		}
	}
	a.runs = float64(total.Count)
	a.mean = total.Sum.Float64() / a.runs
	if !single {
		a.cells = cells
		return a
	}
	a.values = make([]float64, len(cells))
	for i, c := range cells {
		a.values[i] = c.sum
	}
	return a
}

// resample returns the statistics of one replicate.
func (c *cohort) resample(from *Source) twoMeans {
	if len(c.groups.cells) > 0 {
		shift := c.groups.draw(from)
		return twoMeans{mean: c.plain.mean + shift.count, part: c.plain.part + shift.sum}
	}
	return c.of(func(a *arm) float64 {
		drawn := a.draw(from)
		return drawn.sum / drawn.count
	})
}

func (c *cohort) of(mean func(*arm) float64) twoMeans {
	var m twoMeans
	for k := range c.arms {
		a := &c.arms[k]
		v := mean(a)
		m.mean += float64(a.ofRuns * v)
		m.part += float64(a.weight * v)
	}
	return m
}

// influence returns what unit i of an arm adds to the cohort's part (sum) and to
// its mean (count), to first order: its deviation from what its runs would sum
// to at the arm's mean. Over an arm, influences add to 0.
func (a *arm) influence(i int) cell64 {
	u := a.at(i)
	deviation := (u.sum - float64(a.mean*u.count)) / a.runs
	return cell64{sum: float64(a.weight * deviation), count: float64(a.ofRuns * deviation)}
}

// influences sums the influences of all units to n groups, dealt out in turn.
func (c *cohort) influences(n int) []cell64 {
	groups := make([]cell64, n)
	g := 0
	for k := range c.arms {
		for i := range c.arms[k].size() {
			u := c.arms[k].influence(i)
			groups[g] = groups[g].plus(&u)
			if g++; g == n {
				g = 0
			}
		}
	}
	return groups
}
