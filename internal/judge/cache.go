package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/cobound/prova/api"
)

// Cache keeps verdicts by what was asked, so that the same question is never
// asked twice. Only usable verdicts are kept: what could not be read may be
// readable the next time. It is safe for concurrent use, also by several
// processes on one directory.
type Cache struct {
	dir string

	mu     sync.Mutex
	memory map[string]cached
	// asking are the keys that somebody is asking about at this moment.
	asking map[string]chan struct{}
}

// cacheVersion is that of the files' form.
const cacheVersion = 1

// cached is an entry, as its file has it.
type cached struct {
	Version int          `json:"v"`
	Key     string       `json:"key"`
	Verdict api.Position `json:"verdict"`
	Reason  string       `json:"reason"`
}

// NewCache opens a cache in a directory, which is made if need be, readable for
// its owner alone: reasons may quote what was judged. Without a directory it
// lives as long as the process.
func NewCache(dir string) (*Cache, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, badConfig("the judge's cache: %w; name another directory", err)
		}
	}
	return &Cache{dir: dir, memory: map[string]cached{}, asking: map[string]chan struct{}{}}, nil
}

// keyOf is the SHA-256, in hex, of everything that a verdict depends on: the
// judge with its prompt and parameters, and the texts in their order. The
// random markers of a prompt are no part of it.
func keyOf(by api.Judge, maxTokens int, t Texts) string {
	data, err := json.Marshal([]any{cacheVersion, by.Model, by.Version, by.Template, maxTokens, t.Input, t.First, t.Second})
	if err != nil {
		panic("judge: texts and numbers have no JSON: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// get returns what is known of a question. An entry that cannot be read, or is
// another's, is not there.
func (c *Cache) get(key string) (answered, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.memory[key]; ok {
		return answered{verdict: e.Verdict, reason: e.Reason, cached: true}, true
	}
	if c.dir == "" {
		return answered{}, false
	}
	data, err := os.ReadFile(c.file(key))
	if err != nil || len(data) > maxReply {
		return answered{}, false
	}
	var e cached
	if json.Unmarshal(data, &e) != nil || e.Version != cacheVersion || e.Key != key {
		return answered{}, false
	}
	switch e.Verdict {
	case api.PositionFirst, api.PositionSecond, api.PositionTie:
		return answered{verdict: e.Verdict, reason: fit(e.Reason), cached: true}, true
	case api.PositionNone:
	}
	return answered{}, false
}

// put keeps a verdict. If its file cannot be written, it is known until the
// process ends, and the error says why.
func (c *Cache) put(key string, a answered) error {
	e := cached{Version: cacheVersion, Key: key, Verdict: a.verdict, Reason: a.reason}
	var err error
	if c.dir != "" {
		if err = c.write(e); err == nil {
			return nil
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory[key] = e
	return err
}

// write writes an entry's file at once: another process sees all of it or nothing.
func (c *Cache) write(e cached) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	name := c.file(e.Key)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

func (c *Cache) file(key string) string { return filepath.Join(c.dir, key[:2], key+".json") }

// alone waits until nobody else asks about the key, and returns what ends that.
// It gives up when done is closed.
func (c *Cache) alone(key string, done <-chan struct{}) (release func(), ok bool) {
	for {
		c.mu.Lock()
		other, taken := c.asking[key]
		if !taken {
			mine := make(chan struct{})
			c.asking[key] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				delete(c.asking, key)
				c.mu.Unlock()
				close(mine)
			}, true
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-done:
			return nil, false
		}
	}
}
