package authority

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/cobound/prova/api"
)

// A cursor is opaque: base64 behind a version.
const cursorVersion = "1:"

func encodeCursor(at string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorVersion + at))
}

func cursorText(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	at, ok := strings.CutPrefix(string(raw), cursorVersion)
	if err != nil || !ok || len(at) > api.MaxName {
		return "", invalid("/cursor", "the cursor is not one that a list has given; leave it out to begin anew")
	}
	return at, nil
}

func cursorNumber(cursor string) (int64, error) {
	at, err := cursorText(cursor)
	if err != nil || at == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("/cursor", "the cursor is not one that this list has given; leave it out to begin anew")
	}
	return n, nil
}

// page cuts a list that was read with one item too many and says where the next page begins.
func page[T any](items []T, limit int, at func(T) string) api.List[T] {
	if items == nil {
		items = []T{}
	}
	if len(items) <= limit {
		return api.List[T]{Items: items}
	}
	items = items[:limit]
	return api.List[T]{Items: items, NextCursor: encodeCursor(at(items[limit-1]))}
}
