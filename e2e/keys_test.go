package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/verifiers/python/pythontest"
)

// TestKeysRotate: an auditor who got the keys on the first day follows the
// rotations that come later, with both verifiers.
func TestKeysRotate(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		keys := s.keysFile()
		f := s.agent("claims-agent").bad()
		r := f.rollout(steps(50, 100), minRuns(30))
		f.send(50, 40)
		s.tick(r.ID)
		var change api.KeyChange
		s.unmarshal([]byte(s.run("prova", "keys", "rotate", "--reason", "yearly rotation", "--json").exits(0).stdout), &change)
		f.until(r.ID, 10)
		s.stop()
		s.start()
		s.run("prova", "keys", "rotate", "--reason", "once more").exits(0).says("signs from now on").says(change.Key.KeyID + " +retired")
		f.send(0, 5)
		s.run("prova", "keys", "list", "--signing").exits(0).says("retired from index").says("yearly rotation").says("holds")

		bundle := filepath.Join(t.TempDir(), "evidence.tar")
		s.run("prova", "receipts", "bundle", "--rollout", r.ID, "--out", bundle).exits(0)
		export := s.exportFile()
		run(t, "prova-verify", "--key", keys, "--replay", bundle).exits(0).says("trusted because a trusted key added them")
		run(t, "prova-verify", "--key", keys, "--replay", export).exits(0)
		answers, _ := pythontest.Verify(t, "--key", keys, "--replay", bundle, export)
		for _, a := range answers {
			if !strings.Contains(string(a), `"verified"`) {
				t.Errorf("Python: %s", a)
			}
		}

		// The key that signs is not ended; one that has ended is not revoked for nothing.
		var list api.List[api.SigningKey]
		s.unmarshal([]byte(s.run("prova", "keys", "list", "--signing", "--json").exits(0).stdout), &list)
		s.run("prova", "keys", "retire", list.Items[len(list.Items)-1].KeyID, "--reason", "because").says("rotate it")
		s.run("prova", "keys", "revoke", change.Key.KeyID, "--reason", "because").exits(0).says("had ended already")
		s.run("prova", "keys", "revoke", change.Key.KeyID).exits(64).says("--reason")
		s.runAs(s.key(api.KeyManage), "prova", "keys", "rotate", "--reason", "because").exits(77)
	})
}

// TestReplaceCheckpointKey: what was signed before is still served and verified
// with the old key, and shows that the log under the new one continues it.
func TestReplaceCheckpointKey(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		first := s.keysFile()
		f := s.agent("claims-agent")
		f.send(0, 5)
		before, err := s.api().Checkpoint(s.Context())
		s.ok(err)
		head := filepath.Join(t.TempDir(), "before.checkpoint")
		s.ok(os.WriteFile(head, []byte(before.Note), 0o600))
		s.stop()
		run(t, "prova", "keys", "replace-checkpoint", "--data", s.data).exits(0).says("signs checkpoints from the next start on").says("checkpoint-[0-9a-f]{16}.old")
		run(t, "prova", "keys", "replace-checkpoint", "--data", t.TempDir()).exits(78).says("checkpoint.key")
		s.start()
		f.send(0, 5)
		after, err := s.api().Checkpoint(s.Context())
		s.ok(err)
		if again, err := s.api().CheckpointAt(s.Context(), before.Size); err != nil || again != before || after.VKey == before.VKey {
			t.Errorf("%v: %+v after %+v, now %+v", err, again, before, after)
		}
		export, both := s.exportFile(), s.keysFile()
		run(t, "prova-verify", "--key", first, export).exits(1).says("checkpoint")
		run(t, "prova-verify", "--key", both, "--head", head, export).exits(0)
		answers, _ := pythontest.Verify(t, "--key", both, "--head", head, export)
		for _, a := range answers {
			if !strings.Contains(string(a), `"verified"`) {
				t.Errorf("Python: %s", a)
			}
		}
		events := s.run("prova", "receipts", "list", "--kind", "key_event", "--json").exits(0).stdout
		if n := strings.Count(events, `"purpose":"checkpoint"`); n != 2 {
			t.Errorf("the log adds %d checkpoint keys, want 2:\n%s", n, events)
		}
	})
}

// TestKeysEncrypt: key files are encrypted in place; from then on a start needs the passphrase.
func TestKeysEncrypt(t *testing.T) {
	t.Parallel()
	s := serve(t, sqlite())
	keys := s.keysFile()
	s.run("prova", "keys", "rotate", "--reason", "two files").exits(0)
	s.stop()
	secret := filepath.Join(t.TempDir(), "passphrase")
	s.ok(os.WriteFile(secret, []byte("correct horse\n"), 0o600))
	plain := s.env
	command := func(passphrase string, args ...string) result {
		t.Helper()
		c := s.command()
		c.Path, c.Args = program("prova"), append([]string{"prova"}, args...)
		c.Env = append(environment(), passphrase)
		return finish(t, c)
	}
	command("PROVA_KEY_PASSPHRASE_FILE="+secret, "keys", "encrypt", "--data", s.data).exits(0).says("receipt.key +encrypted").says("checkpoint.key +encrypted")
	for env, says := range map[string]string{"X=": "PROVA_KEY_PASSPHRASE", "PROVA_KEY_PASSPHRASE=wrong": "the passphrase is wrong"} {
		command(env, "serve", "--addr", "127.0.0.1:0", "--data", s.data).exits(78).says(says)
	}
	s.env = append(plain, "PROVA_KEY_PASSPHRASE_FILE="+secret)
	s.start()
	s.agent("claims-agent").send(0, 5)
	s.run("prova", "keys", "rotate", "--reason", "the new file is encrypted, too").exits(0)
	files, err := filepath.Glob(filepath.Join(s.data, "*.key"))
	s.ok(err)
	if len(files) != 4 {
		t.Errorf("%v", files)
	}
	for _, f := range files {
		if !strings.Contains(s.contents(f), "BEGIN PROVA ENCRYPTED PRIVATE KEY") {
			t.Errorf("%s is not encrypted", f)
		}
	}
	run(t, "prova-verify", "--key", keys, s.exportFile()).exits(0)
}

// TestReceiptsErase: what was erased is nowhere in the data directory, the
// verifiers say that it was, and the decision is still recomputed.
func TestReceiptsErase(t *testing.T) {
	onEach(t, func(t *testing.T, b backend) {
		s := serve(t, b)
		keys := s.keysFile()
		f := s.agent("claims-agent").bad()
		r := f.rollout(steps(50, 100), minRuns(30))
		event := f.next(50)
		event.Payload = map[string]json.RawMessage{"input": json.RawMessage(`"my diagnosis is hypochondria"`), "output": json.RawMessage(`"I am sorry"`)}
		results := s.ingest(s.owner, []api.Event{event})
		var envelope struct {
			Body struct {
				EventID string `json:"event_id"`
			} `json:"body"`
		}
		s.unmarshal(results[0].Receipt, &envelope)
		id := envelope.Body.EventID
		f.until(r.ID, 10)

		s.run("prova", "receipts", "erase", id, "--field", "prompt", "--ground", "asked for").says("it has input, output")
		s.run("prova", "receipts", "erase", id, "--field", "input", "--ground", "asked for, case 4711").exits(0).says("erased +input")
		s.run("prova", "receipts", "erase", id, "--ground", "asked for").exits(0).says("erased +output").says("erased before +input")
		s.runAs(s.key(api.AuditRead), "prova", "receipts", "erase", id, "--ground", "because").exits(77)
		s.run("prova", "receipts", "list", "--kind", "erasure").exits(0).says("erasure")
		if b.url == "" {
			files, err := os.ReadDir(s.data)
			s.ok(err)
			for _, file := range files {
				for _, secret := range []string{"hypochondria", "I am sorry"} {
					if !file.IsDir() && strings.Contains(s.contents(filepath.Join(s.data, file.Name())), secret) {
						t.Errorf("%q stands in %s", secret, file.Name())
					}
				}
			}
		}
		bundle := filepath.Join(t.TempDir(), "evidence.tar")
		s.run("prova", "receipts", "bundle", "--rollout", r.ID, "--out", bundle).exits(0)
		run(t, "prova-verify", "--key", keys, "--replay", bundle).exits(0).says("2 payload fields are redacted: value erased, commitment intact")
		run(t, "prova-verify", "--key", keys, "--replay", s.exportFile()).exits(0).says("2 payload fields are redacted")
		answers, _ := pythontest.Verify(t, "--key", keys, bundle, s.exportFile())
		for _, a := range answers {
			if !strings.Contains(string(a), `"verified"`) || !strings.Contains(string(a), "redacted") {
				t.Errorf("Python: %s", a)
			}
		}
	})
}
