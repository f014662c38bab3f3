package stats

// Unit is what is resampled as one: the runs of one user or one probe, or of a
// group of such units.
type Unit struct {
	Count int64
	Sum   Fixed
}

func (u Unit) plus(o Unit) Unit { return Unit{Count: u.Count + o.Count, Sum: u.Sum.Add(o.Sum)} }

const (
	unitLimit   = 1024 // units kept singly, and groups beyond
	unitShift   = 54   // what is left of a hash is the group
	sampleLimit = 256
)

// units holds the units of a summary. Whether they are grouped depends on the
// number of distinct hashes alone, and grouping commutes with adding, so the
// order of the runs leaves no trace.
type units struct {
	cells   table[Unit] // by hash, or by group when grouped
	sample  table[runs] // when grouped: the units with the smallest hashes
	grouped bool
}

func (u units) add(hash uint64, v Unit) units {
	if !u.grouped {
		u.cells = u.cells.add(hash, v)
		if u.cells.size > unitLimit {
			u = group(u.cells.cells())
		}
		return u
	}
	u.cells = u.cells.add(hash>>unitShift, v)
	last := u.sample.chunks[len(u.sample.chunks)-1]
	if hash <= last[len(last)-1].key {
		u.sample = u.sample.add(hash, runs(v.Count))
		if u.sample.size > sampleLimit {
			u.sample = tableOf(u.sample.cells()[:sampleLimit])
		}
	}
	return u
}

// group turns more than unitLimit single units into groups. A unit among the
// smallest hashes of all is among the smallest of every part in which it
// occurs, so its count in the sample is complete.
func group(single []cell[Unit]) units {
	groups := make([]cell[Unit], 0, unitLimit)
	for _, c := range single {
		key := c.key >> unitShift
		if n := len(groups); n > 0 && groups[n-1].key == key {
			groups[n-1].value = groups[n-1].value.plus(c.value)
			continue
		}
		groups = append(groups, cell[Unit]{key, c.value})
	}
	return units{cells: tableOf(groups), sample: tableOf(smallest(single)), grouped: true}
}

func smallest(single []cell[Unit]) []cell[runs] {
	sample := make([]cell[runs], 0, sampleLimit)
	for _, c := range single[:min(len(single), sampleLimit)] {
		sample = append(sample, cell[runs]{c.key, runs(c.value.Count)})
	}
	return sample
}

func (u units) merge(o units) units {
	switch {
	case !u.grouped && !o.grouped:
		all := combine(u.cells, o.cells)
		if len(all) > unitLimit {
			return group(all)
		}
		return units{cells: tableOf(all)}
	case !u.grouped:
		return o.merge(u)
	}
	other := o
	if !o.grouped {
		other = group(o.cells.cells())
	}
	sample := combine(u.sample, other.sample)
	return units{
		cells:   tableOf(combine(u.cells, other.cells)),
		sample:  tableOf(sample[:min(len(sample), sampleLimit)]),
		grouped: true,
	}
}

func (u units) list() []Unit {
	list := make([]Unit, 0, u.cells.size)
	for _, chunk := range u.cells.chunks {
		for _, c := range chunk {
			list = append(list, c.value)
		}
	}
	return list
}

func (u units) clustered() bool {
	if u.grouped {
		for _, chunk := range u.sample.chunks {
			for _, c := range chunk {
				if c.value > 1 {
					return true
				}
			}
		}
		return false
	}
	for _, chunk := range u.cells.chunks {
		for _, c := range chunk {
			if c.value.Count > 1 {
				return true
			}
		}
	}
	return false
}
