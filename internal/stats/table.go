package stats

import "sort"

// table is a sorted map from integers to tallies that is a value: adding
// returns a new table, which shares all chunks but one with the old one. So a
// copied Summary never sees what is added to the other, and adding costs a
// chunk, not the whole.
type table[V tally[V]] struct {
	chunks [][]cell[V]
	size   int
}

type cell[V any] struct {
	key   uint64
	value V
}

type tally[V any] interface{ plus(V) V }

// chunkLimit balances copying a chunk against copying the list of chunks for
// tables of about a thousand cells.
const chunkLimit = 48

// add returns the table with v added to what the key has.
func (t table[V]) add(key uint64, v V) table[V] {
	if t.size == 0 {
		return table[V]{chunks: [][]cell[V]{{{key, v}}}, size: 1}
	}
	at := sort.Search(len(t.chunks), func(i int) bool {
		return t.chunks[i][len(t.chunks[i])-1].key >= key
	})
	if at == len(t.chunks) {
		at--
	}
	old := t.chunks[at]
	i := sort.Search(len(old), func(i int) bool { return old[i].key >= key })
	if i < len(old) && old[i].key == key {
		chunk := append([]cell[V](nil), old...)
		chunk[i].value = chunk[i].value.plus(v)
		chunks := append([][]cell[V](nil), t.chunks...)
		chunks[at] = chunk
		return table[V]{chunks: chunks, size: t.size}
	}
	chunk := make([]cell[V], 0, len(old)+1)
	chunk = append(chunk, old[:i]...)
	chunk = append(chunk, cell[V]{key, v})
	chunk = append(chunk, old[i:]...)
	chunks := make([][]cell[V], 0, len(t.chunks)+1)
	chunks = append(chunks, t.chunks[:at]...)
	if half := len(chunk) / 2; len(chunk) > chunkLimit {
		chunks = append(chunks, chunk[:half:half], chunk[half:])
	} else {
		chunks = append(chunks, chunk)
	}
	return table[V]{chunks: append(chunks, t.chunks[at+1:]...), size: t.size + 1}
}

// cells returns all cells in ascending order of keys, in a slice of its own.
func (t table[V]) cells() []cell[V] {
	all := make([]cell[V], 0, t.size)
	for _, chunk := range t.chunks {
		all = append(all, chunk...)
	}
	return all
}

// tableOf returns a table of cells in ascending order of distinct keys. It keeps
// the slice, in parts that cannot grow into one another.
func tableOf[V tally[V]](cells []cell[V]) table[V] {
	t := table[V]{size: len(cells), chunks: make([][]cell[V], 0, (len(cells)+chunkLimit-1)/chunkLimit)}
	for len(cells) > 0 {
		n := min(len(cells), chunkLimit)
		t.chunks = append(t.chunks, cells[:n:n])
		cells = cells[n:]
	}
	return t
}

// combine returns the cells of both tables in ascending order of keys, adding
// what has one key, in a slice of its own.
func combine[V tally[V]](a, b table[V]) []cell[V] {
	// Tables that are merged often have mostly the same keys: of a histogram, or of groups.
	all := make([]cell[V], 0, max(a.size, b.size)+min(a.size, b.size)/8)
	x, y := cursor[V]{later: a.chunks}, cursor[V]{later: b.chunks}
	for x.more() && y.more() {
		switch p, q := &x.now[0], &y.now[0]; {
		case p.key < q.key:
			all, x.now = append(all, *p), x.now[1:]
		case p.key > q.key:
			all, y.now = append(all, *q), y.now[1:]
		default:
			all = append(all, cell[V]{p.key, p.value.plus(q.value)})
			x.now, y.now = x.now[1:], y.now[1:]
		}
	}
	for _, rest := range []*cursor[V]{&x, &y} {
		for rest.more() {
			all, rest.now = append(all, rest.now...), nil
		}
	}
	return all
}

// cursor walks through the cells of a table.
type cursor[V any] struct {
	now   []cell[V]
	later [][]cell[V]
}

// more reports whether there is a cell left, the first of now.
func (c *cursor[V]) more() bool {
	for len(c.now) == 0 {
		if len(c.later) == 0 {
			return false
		}
		c.now, c.later = c.later[0], c.later[1:]
	}
	return true
}
