package stats

import (
	"math"
	"sort"
)

// Mix counts runs by the categories of one attribute, such as the probe or the
// model: by name while there are at most 64 categories, beyond that in 64 groups
// by the leading bits of a hash of the name. It has integers only, so it depends
// on the set of runs alone, never on their order or on how parts were merged,
// and its size is bounded. A run without the attribute is of the category "".
// The zero value is empty, and a Mix may be copied by assignment: neither copy
// sees the other's changes.
type Mix struct {
	named  []category // ascending by name; nil when grouped
	groups []int64    // mixLimit counts when grouped
}

type category struct {
	name  string
	count int64
}

const (
	mixLimit = 64 // categories kept by name, and groups beyond
	mixShift = 58 // what is left of a hash is the group
)

// Add counts one run.
func (m *Mix) Add(name string) { *m = m.plus(name, 1) }

// Merge adds all of o's runs.
func (m *Mix) Merge(o Mix) {
	for _, c := range o.named {
		*m = m.plus(c.name, c.count)
	}
	if o.groups == nil {
		return
	}
	groups := m.grouped()
	for i, n := range o.groups {
		groups[i] += n
	}
	*m = Mix{groups: groups}
}

// Count returns the number of runs.
func (m Mix) Count() int64 {
	n := int64(0)
	for _, c := range m.named {
		n += c.count
	}
	for _, g := range m.groups {
		n += g
	}
	return n
}

func (m Mix) plus(name string, n int64) Mix {
	if m.groups != nil {
		groups := m.grouped()
		groups[groupOf(name)] += n
		return Mix{groups: groups}
	}
	at := sort.Search(len(m.named), func(i int) bool { return m.named[i].name >= name })
	named := make([]category, 0, len(m.named)+1)
	named = append(named, m.named[:at]...)
	rest := m.named[at:]
	if len(rest) > 0 && rest[0].name == name {
		n, rest = n+rest[0].count, rest[1:]
	}
	named = append(append(named, category{name, n}), rest...)
	if len(named) > mixLimit {
		return Mix{groups: Mix{named: named}.grouped()}
	}
	return Mix{named: named}
}

// grouped returns the counts by group in a slice of its own.
func (m Mix) grouped() []int64 {
	groups := make([]int64, mixLimit)
	copy(groups, m.groups)
	for _, c := range m.named {
		groups[groupOf(c.name)] += c.count
	}
	return groups
}

func groupOf(name string) int { return int(uint64(SeedOf("category", name)) >> mixShift) }

// MixStratum is the mixes of the two cohorts in one stratum.
type MixStratum struct{ Candidate, Baseline Mix }

// MixShift says how far the proportions of two cohorts are apart.
type MixShift struct {
	// Statistic is Pearson's chi-square, summed over the strata, and Freedom its
	// degrees of freedom, 0 if nothing can be compared.
	Statistic float64
	Freedom   int
	// Distance is the total variation distance, in [0, 1]: the share of runs that
	// would have to change their category. Strata are averaged with the weights n_c n_b/(n_c + n_b).
	Distance float64
	// Category is the one whose share changed most, from Baseline to Candidate
	// as shares; Named is false where categories were grouped, or strata compared.
	Category            string
	Candidate, Baseline float64
	Named               bool
}

// The thresholds of a shift that matters.
const (
	mixSurprise = 3.090232306167813 // the 99.9 % quantile of the normal law
	mixDistance = 0.1
	mixSparse   = 10
)

// Differs reports whether the proportions differ by more than chance and enough
// to matter: the statistic is beyond the 99.9 % quantile of its law, by the
// approximation of Wilson and Hilferty 1931, and the distance is at least 0.1.
func (s MixShift) Differs() bool {
	if s.Freedom < 1 {
		return false
	}
	k := float64(s.Freedom)
	root := 1 - 2/(9*k) + float64(mixSurprise*math.Sqrt(2/(9*k)))
	return s.Distance >= mixDistance && s.Statistic > float64(k*float64(root*root*root))
}

// CompareMixes compares the proportions of the cohorts within each stratum.
// Categories with less than 10 runs of both cohorts together count as one, after
// Cochran 1954, so that rare ones do not decide. Strata with an empty cohort
// are left out.
func CompareMixes(strata []MixStratum) MixShift {
	var shift MixShift
	total := 0.0
	for _, s := range strata {
		w := weight(s.Candidate.Count(), s.Baseline.Count())
		if w == 0 {
			continue
		}
		one := s.compare()
		total += w
		shift.Statistic += one.Statistic
		shift.Freedom += one.Freedom
		shift.Distance += float64(w * one.Distance)
		if len(strata) == 1 {
			shift.Category, shift.Candidate, shift.Baseline, shift.Named = one.Category, one.Candidate, one.Baseline, one.Named
		}
	}
	if total > 0 {
		shift.Distance /= total
	}
	return shift
}

// crossed is the count of one category in both cohorts.
type crossed struct {
	name                string
	candidate, baseline int64
}

// cross lists the categories of both cohorts, sparse ones added up at the end.
func (s MixStratum) cross() (list []crossed, named bool) {
	var rest crossed
	take := func(c crossed) {
		switch {
		case c.candidate+c.baseline == 0:
		case c.candidate+c.baseline < mixSparse:
			rest.candidate += c.candidate
			rest.baseline += c.baseline
		default:
			list = append(list, c)
		}
	}
	named = s.Candidate.groups == nil && s.Baseline.groups == nil
	if named {
		a, b := s.Candidate.named, s.Baseline.named
		for len(a) > 0 || len(b) > 0 {
			switch {
			case len(b) == 0 || len(a) > 0 && a[0].name < b[0].name:
				take(crossed{a[0].name, a[0].count, 0})
				a = a[1:]
			case len(a) == 0 || b[0].name < a[0].name:
				take(crossed{b[0].name, 0, b[0].count})
				b = b[1:]
			default:
				take(crossed{a[0].name, a[0].count, b[0].count})
				a, b = a[1:], b[1:]
			}
		}
	} else {
		a, b := s.Candidate.grouped(), s.Baseline.grouped()
		for i := range a {
			take(crossed{"", a[i], b[i]})
		}
	}
	if rest.candidate+rest.baseline > 0 {
		list = append(list, rest)
	}
	return list, named
}

func (s MixStratum) compare() MixShift {
	list, named := s.cross()
	shift := MixShift{Freedom: len(list) - 1}
	nc, nb := float64(s.Candidate.Count()), float64(s.Baseline.Count())
	largest := -1.0
	for _, c := range list {
		pc, pb := float64(c.candidate)/nc, float64(c.baseline)/nb
		apart := math.Abs(pc - pb)
		// Over both rows of the table, (observed - expected)^2 / expected comes to this.
		shift.Statistic += float64(float64(apart*apart) * (float64(nc*nb) / float64(c.candidate+c.baseline)))
		shift.Distance += float64(apart / 2)
		if apart > largest {
			largest, shift.Category, shift.Candidate, shift.Baseline, shift.Named = apart, c.name, pc, pb, named
		}
	}
	return shift
}
