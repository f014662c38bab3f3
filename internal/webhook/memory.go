package webhook

import "container/list"

// memory is a map that forgets what was not touched for longest once it holds
// limit values.
type memory[V any] struct {
	limit   int
	entries map[string]*list.Element
	order   *list.List // of *remembered[V], the latest in front
}

type remembered[V any] struct {
	key   string
	value V
}

func newMemory[V any](limit int) *memory[V] {
	return &memory[V]{limit: limit, entries: map[string]*list.Element{}, order: list.New()}
}

func (m *memory[V]) get(key string) (V, bool) {
	e, ok := m.entries[key]
	if !ok {
		var none V
		return none, false
	}
	m.order.MoveToFront(e)
	return e.Value.(*remembered[V]).value, true
}

func (m *memory[V]) put(key string, value V) {
	if e, ok := m.entries[key]; ok {
		e.Value.(*remembered[V]).value = value
		m.order.MoveToFront(e)
		return
	}
	m.entries[key] = m.order.PushFront(&remembered[V]{key, value})
	if m.order.Len() > m.limit {
		oldest := m.order.Remove(m.order.Back()).(*remembered[V])
		delete(m.entries, oldest.key)
	}
}
