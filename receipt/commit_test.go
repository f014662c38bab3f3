package receipt

import (
	"strings"
	"testing"
)

// 55, 56: a commitment opens with the salt and the value that it was made of, and with no others.
func TestTamperCommitments(t *testing.T) {
	salt := [32]byte{7}
	c := Commit(salt, []byte(`"hello"`))
	if err := OpenCommitment(c, salt, []byte(`"hello"`)); err != nil {
		t.Error(err)
	}
	for _, bad := range []struct {
		commitment string
		salt       [32]byte
		value      string
	}{
		{c, [32]byte{8}, `"hello"`},
		{c, salt, `"restored"`},
		{c, salt, ` "hello"`},
		{strings.ToUpper(c), salt, `"hello"`},
		{"", salt, `"hello"`},
		{strings.TrimPrefix(c, commitmentPrefix), salt, `"hello"`},
	} {
		if OpenCommitment(bad.commitment, bad.salt, []byte(bad.value)) == nil {
			t.Errorf("%+v opens", bad)
		}
	}
}
