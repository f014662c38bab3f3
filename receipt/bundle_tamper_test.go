package receipt

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// The tamper cases of bundles, continuing those of receipts and exports in
// tamper_test.go; the numbers are those of the project's list. They belong to
// other parts and are tested there: 42 (a checkpoint's prev: checkpoints hold
// none), 43 to 48 (witnesses and their policy), 49 (time stamps), 58 to 63
// (replay), 64 and 65 (deliveries, which no bundle holds), 66 to 71
// (operations, not evidence). 50, a stale head presented as the newest, shows
// only against a head saved later: 25 and 40 below.

// bundleCase is something that was done to a bundle, and what notices.
type bundleCase struct {
	name   string
	scope  Scope
	tamper func(t *testing.T, b *testBundle)
	result string
	want   []CheckName
}

func runBundleCases(t *testing.T, cases []bundleCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := bundleOf(t, storyLog(t), c.scope)
			trust := b.log.trust(t)
			before := b.tar(t)
			c.tamper(t, b)
			if bytes.Equal(before, b.tar(t)) {
				t.Fatal("nothing was changed")
			}
			wantReport(t, b.both(t, trust), c.result, c.want...)
		})
	}
}

// A stranger on the way cannot sign. Everything that is changed without the
// operator's key shows in the manifest's digests, whatever it was.
func TestTamperBundleByStranger(t *testing.T) {
	replace := func(name, old, by string) func(*testing.T, *testBundle) {
		return func(_ *testing.T, b *testBundle) {
			b.files[name] = bytes.Replace(b.files[name], []byte(old), []byte(by), 1)
		}
	}
	runBundleCases(t, []bundleCase{
		{"1 a byte of a receipt", rolloutScope, replace(FileReceipts, "rollback", "rollbacc"), Failed, []CheckName{CheckDigest, CheckSignature, CheckInclusion}},
		{"35 a body edited, leaf as it was", rolloutScope, replace(FileReceipts, `"latency_ms":812`, `"latency_ms":912`), Failed, []CheckName{CheckSignature, CheckInclusion}},
		{"51 a file missing", rolloutScope, func(_ *testing.T, b *testBundle) { delete(b.files, FileLeaves) }, Failed, []CheckName{CheckFiles}},
		{"51 a file extra", rolloutScope, func(_ *testing.T, b *testBundle) {
			b.files[ProofFile("evt_0003")] = b.files[ProofFile("evt_0001")]
		}, Failed, []CheckName{CheckFiles}},
		{"51 a file longer", rolloutScope, func(_ *testing.T, b *testBundle) { b.files[FileReadme] = append(clone(b.files[FileReadme]), '\n') }, Failed, []CheckName{CheckFiles, CheckDigest}},
		{"52 a file of another digest", rolloutScope, replace(FileReadme, "prova-verify", "prova-trusts"), Failed, []CheckName{CheckDigest}},
		{"52 another digest in the manifest", rolloutScope, func(_ *testing.T, b *testBundle) {
			b.raw = bytes.Replace(b.raw, []byte(b.manifest.Files[0].SHA256), []byte(strings.Repeat("0", 64)), 1)
		}, Failed, []CheckName{CheckManifest, CheckSignature, CheckDigest}},
		{"52 manifest without a signature", rolloutScope, func(_ *testing.T, b *testBundle) {
			r, _ := Parse(b.raw)
			b.raw = r.Body
		}, Failed, []CheckName{CheckManifest, CheckEnvelope}},
		{"52 manifest signed by another key", rolloutScope, func(t *testing.T, b *testBundle) {
			b.log.signer = newSigner(t, "impostor")
			b.seal(t)
		}, Failed, []CheckName{CheckManifest, CheckKnownKey}},
		{"52 manifest of another bundle", rolloutScope, func(t *testing.T, b *testBundle) {
			b.raw = bundleOf(t, storyLog(t), rangeScope(3, 9)).raw
		}, Failed, []CheckName{CheckFiles, CheckDigest}},
		{"9 a run in the place of the manifest", rolloutScope, func(_ *testing.T, b *testBundle) { b.raw = b.log.lines[2].raw }, Failed, []CheckName{CheckManifest}},
		{"36 a leaf forged", rolloutScope, func(_ *testing.T, b *testBundle) { b.files[FileLeaves][40] ^= 1 }, Failed, []CheckName{CheckDigest, CheckInclusion, CheckRoot}},
		{"17 keys replaced", rolloutScope, replace(FileKeys, `"purpose":"receipt"`, `"purpose":"nothing"`), Failed, []CheckName{CheckDigest, CheckHead}},
		{"53 a receipt of a stream left out", rolloutScope, func(_ *testing.T, b *testBundle) {
			b.receipts = slices.Delete(b.receipts, 5, 6)
			b.join()
		}, Failed, []CheckName{CheckFiles, CheckDigest, CheckStream, CheckCounts}},
	})
}

// Nothing of a key list that does not end is used, though a whole key stands in it.
func TestBundleKeysBroken(t *testing.T) {
	b := bundleOf(t, storyLog(t), rolloutScope)
	whole := b.both(t, Trust{})
	if whole.Result == Malformed {
		t.Fatalf("the bundle was broken before: %+v", whole)
	}
	keys := b.files[FileKeys]
	b.files[FileKeys] = append(clone(keys[:bytes.LastIndexByte(keys, ']')]), `,{"key_id":`...)
	b.again(t)
	wantReport(t, b.both(t, Trust{}), Malformed, CheckHead, CheckKnownKey)
}

// The operator can sign what it likes. What it cannot do is make it fit.
func TestTamperBundleByOperator(t *testing.T) {
	// drop leaves out the receipt of a log index.
	drop := func(index int64) func(*testing.T, *testBundle) {
		return func(t *testing.T, b *testBundle) {
			b.receipts = slices.DeleteFunc(b.receipts, func(l testLine) bool {
				if l.index != index {
					return false
				}
				r, err := Parse(l.raw)
				if err != nil {
					t.Fatal(err)
				}
				if b.manifest.Counts[r.Kind]--; b.manifest.Counts[r.Kind] == 0 {
					delete(b.manifest.Counts, r.Kind)
				}
				delete(b.files, ProofFile(r.EventID))
				return true
			})
			b.again(t)
		}
	}
	// forge puts another receipt, signed, in the place of one of the log.
	forge := func(index int64, changes fields) func(*testing.T, *testBundle) {
		return func(t *testing.T, b *testBundle) {
			i := slices.IndexFunc(b.receipts, func(l testLine) bool { return l.index == index })
			b.receipts[i].raw = changed(t, b.log.signer, b.receipts[i].raw, changes)
			b.again(t)
		}
	}
	edit := func(change func(b *testBundle)) func(*testing.T, *testBundle) {
		return func(t *testing.T, b *testBundle) {
			change(b)
			b.again(t)
		}
	}
	one := Scope{Receipt: "evt_0008"}
	proof := ProofFile("evt_0008")
	runBundleCases(t, []bundleCase{
		{"10 the decision turned about and signed again", rolloutScope, forge(8, fields{"decision": "promote"}), Failed, []CheckName{CheckInclusion}},
		{"10 in a bundle of one receipt", one, forge(8, fields{"decision": "promote"}), Failed, []CheckName{CheckInclusion}},
		{"14 a receipt of another org", rangeScope(3, 9), forge(5, fields{"org": "other"}), Failed, []CheckName{CheckOrg, CheckInclusion}},
		{"16 a run of another environment", rolloutScope, forge(5, fields{"source": fields{"app_id": "claims-agent", "environment": "staging"}}), Failed, []CheckName{CheckScope, CheckInclusion}},
		{"16 a run of another agent that is in the log", rolloutScope, edit(func(b *testBundle) {
			b.receipts = slices.Insert(b.receipts, 4, b.log.lines[4])
			b.manifest.Counts["agent_run"]++
		}), Failed, []CheckName{CheckScope}},
		{"16 another receipt beside the one", one, edit(func(b *testBundle) {
			b.receipts = slices.Insert(b.receipts, 2, b.log.lines[5])
			b.manifest.Counts["agent_run"]++
		}), Failed, []CheckName{CheckScope, CheckInclusion}},
		{"21 key events left out", rolloutScope, func(t *testing.T, b *testBundle) {
			drop(0)(t, b)
			drop(1)(t, b)
		}, Undetermined, []CheckName{CheckKeySpan}},
		{"21 one key event left out", rolloutScope, drop(0), Failed, []CheckName{CheckKeySpan}},
		{"24 a run left out of a range", rangeScope(3, 9), drop(5), Failed, []CheckName{CheckLogIndex, CheckCompleteness}},
		{"24 left out and renumbered", rangeScope(3, 9), func(t *testing.T, b *testBundle) {
			drop(5)(t, b)
			for i := range b.receipts {
				if b.receipts[i].index > 5 {
					b.receipts[i].index--
				}
			}
			b.again(t)
		}, Failed, []CheckName{CheckInclusion, CheckCompleteness}},
		{"24 a leaf deleted", rangeScope(3, 9), edit(func(b *testBundle) {
			b.files[FileLeaves] = slices.Delete(b.files[FileLeaves], 64, 96)
		}), Failed, []CheckName{CheckManifest}},
		{"25 the end of a range left out", rangeScope(3, 9), drop(8), Failed, []CheckName{CheckCompleteness}},
		{"25 the first of a range left out", rangeScope(3, 9), drop(3), Failed, []CheckName{CheckLogIndex, CheckCompleteness}},
		{"26 two swapped", rangeScope(3, 9), edit(func(b *testBundle) { b.receipts[4], b.receipts[5] = b.receipts[5], b.receipts[4] }), Failed, []CheckName{CheckLogIndex}},
		{"26 two swapped and renumbered", rolloutScope, edit(func(b *testBundle) {
			b.receipts[4].raw, b.receipts[6].raw = b.receipts[6].raw, b.receipts[4].raw
		}), Failed, []CheckName{CheckInclusion}},
		{"27 a back-dated receipt inserted", rolloutScope, edit(func(b *testBundle) {
			old := seal(t, b.log.signer, fields{"event_id": "evt_0001a"})
			b.receipts = slices.Insert(b.receipts, 4, testLine{4, old.Raw})
			b.manifest.Counts["agent_run"]++
		}), Failed, []CheckName{CheckInclusion}},
		{"28 an event twice", rangeScope(3, 9), edit(func(b *testBundle) {
			b.receipts[4].raw = b.receipts[2].raw
		}), Failed, []CheckName{CheckUniqueEvents, CheckInclusion}},
		{"29 an index twice", rolloutScope, edit(func(b *testBundle) { b.receipts[5].index-- }), Failed, []CheckName{CheckLogIndex}},
		{"29 an index beyond the log", rolloutScope, edit(func(b *testBundle) { b.receipts[7].index = 12 }), Failed, []CheckName{CheckLogIndex}},
		{"30 the proof of another leaf", one, edit(func(b *testBundle) {
			b.files[proof] = bytes.Replace(b.log.proof(t, b.log.leafHashes(t), 7), []byte("index 7"), []byte("index 8"), 1)
		}), Failed, []CheckName{CheckInclusion}},
		{"30 the proof of another index", one, edit(func(b *testBundle) { b.files[proof] = b.log.proof(t, b.log.leafHashes(t), 7) }), Failed, []CheckName{CheckInclusion}},
		{"30 the receipt at another index", one, edit(func(b *testBundle) { b.receipts[2].index = 7 }), Failed, []CheckName{CheckInclusion}},
		{"30 the proof of another size", one, edit(func(b *testBundle) {
			l := storyLog(t)
			l.append(t, nil)
			b.files[proof] = l.proof(t, l.leafHashes(t), 8)
		}), Failed, []CheckName{CheckInclusion}},
		{"31 a node of a proof dropped", one, edit(func(b *testBundle) { b.files[proof] = spoilProof(t, b.files[proof], 0) }), Failed, []CheckName{CheckInclusion}},
		{"31 a node of a proof added", one, edit(func(b *testBundle) { b.files[proof] = spoilProof(t, b.files[proof], 1) }), Failed, []CheckName{CheckInclusion}},
		{"31 the nodes of a proof reversed", one, edit(func(b *testBundle) { b.files[proof] = spoilProof(t, b.files[proof], 2) }), Failed, []CheckName{CheckInclusion}},
		{"30 no proof at all", one, edit(func(b *testBundle) { delete(b.files, proof) }), Failed, []CheckName{CheckInclusion}},
		{"30 extra data in a proof", one, edit(func(b *testBundle) {
			b.files[proof] = bytes.Replace(b.files[proof], []byte("index 8"), []byte("extra AAAA\nindex 8"), 1)
		}), Failed, []CheckName{CheckInclusion}},
		{"51 a proof of no receipt", one, edit(func(b *testBundle) { b.files[ProofFile("evt_0005")] = b.files[proof] }), Failed, []CheckName{CheckFiles}},
		{"32 an inner node offered as a leaf", rangeScope(4, 6), edit(func(b *testBundle) {
			leaves := b.log.leafHashes(t)
			node := tlog.NodeHash(leaves[4], leaves[5])
			copy(b.files[FileLeaves], node[:])
		}), Failed, []CheckName{CheckInclusion, CheckRoot}},
		{"33 leaves hashed without the zero byte", rangeScope(4, 12), edit(func(b *testBundle) {
			for i, line := range b.receipts[2:] {
				r, _ := Parse(line.raw)
				h := FileSum{hash: NewFileSum("").hash}
				_, _ = h.Write(LeafData(r.EventID, r.IntegrityHash))
				copy(b.files[FileLeaves][32*i:], h.hash.Sum(nil))
			}
		}), Failed, []CheckName{CheckInclusion, CheckRoot}},
		{"36 the tree before the leaves forged", rolloutScope, edit(func(b *testBundle) {
			b.manifest.Tree = ptr(Tree{}.Append(leaf(1), leaf(2)))
		}), Failed, []CheckName{CheckRoot}},
		{"37 a checkpoint of another org", rolloutScope, edit(func(b *testBundle) {
			b.files[FileCheckpoint] = []byte(checkpointOf(t, "prova.example/log/2", b.log.tree, "checkpoints"))
		}), Failed, []CheckName{CheckCheckpoint}},
		{"37 and the manifest says so", rolloutScope, edit(func(b *testBundle) {
			b.manifest.Origin = "prova.example/log/2"
			b.files[FileCheckpoint] = []byte(checkpointOf(t, "prova.example/log/2", b.log.tree, "checkpoints"))
		}), Failed, []CheckName{CheckCheckpoint}},
		{"38 another size in the checkpoint", rolloutScope, edit(func(b *testBundle) {
			b.files[FileCheckpoint] = bytes.Replace(b.files[FileCheckpoint], []byte("\n12\n"), []byte("\n13\n"), 1)
		}), Failed, []CheckName{CheckSize, CheckCheckpoint}},
		{"38 another root in the checkpoint", rolloutScope, edit(func(b *testBundle) {
			b.files[FileCheckpoint] = bytes.Replace(b.files[FileCheckpoint], []byte(b.log.tree.Root().String()), []byte(tlog.RecordHash(nil).String()), 1)
		}), Failed, []CheckName{CheckCheckpoint, CheckRoot}},
		{"39 a malformed size", rolloutScope, edit(func(b *testBundle) {
			b.files[FileCheckpoint] = bytes.Replace(b.files[FileCheckpoint], []byte("\n12\n"), []byte("\n012\n"), 1)
		}), Failed, []CheckName{CheckCheckpoint}},
		{"57 a checkpoint with a million signature lines", rolloutScope, edit(func(b *testBundle) {
			b.files[FileCheckpoint] = append(b.files[FileCheckpoint], bytes.Repeat([]byte("— a AAAAAAAA\n"), 1e6)...)
		}), Malformed, []CheckName{CheckFiles}},
		{"23 a receipt key signs the checkpoint", rolloutScope, edit(func(b *testBundle) {
			b.files[FileCheckpoint] = []byte(checkpointOf(t, testOrigin, b.log.tree, "receipts"))
		}), Failed, []CheckName{CheckCheckpoint}},
		{"53 a receipt of the stream left out", rolloutScope, drop(6), Failed, []CheckName{CheckStream}},
		{"53 the first of the stream left out", rolloutScope, drop(3), Failed, []CheckName{CheckCompleteness}},
		{"53 and the ones around it joined", rolloutScope, func(t *testing.T, b *testBundle) {
			drop(6)(t, b)
			created, err := Parse(b.log.lines[3].raw)
			if err != nil {
				t.Fatal(err)
			}
			forge(8, fields{"stream": fields{"id": testRollout, "seq": 1, "prev": created.IntegrityHash}})(t, b)
		}, Failed, []CheckName{CheckInclusion, CheckCompleteness}},
		{"54 the end of the rollout left out", rolloutScope, drop(8), Failed, []CheckName{CheckCompleteness}},
		{"54 another claim", rolloutScope, edit(func(b *testBundle) { b.manifest.Completeness.Ended = ptr(false) }), Failed, []CheckName{CheckCompleteness}},
		{"54 a claim of more", one, edit(func(b *testBundle) { b.manifest.Completeness.Claim = ClaimRange }), Failed, []CheckName{CheckManifest}},
		{"54 a bundle about a rollout that is not in it", rolloutScope, edit(func(b *testBundle) { b.manifest.Scope.Rollout = "rol_02" }), Failed, []CheckName{CheckScope}},
		{"54 a bundle about a receipt that is not in it", one, edit(func(b *testBundle) { b.manifest.Scope.Receipt = "evt_0005" }), Failed, []CheckName{CheckScope}},
		{"54 other counts", rolloutScope, edit(func(b *testBundle) { b.manifest.Counts["agent_run"]++ }), Failed, []CheckName{CheckCounts}},
		{"55 a redaction without a commitment", rolloutScope, edit(func(b *testBundle) {
			b.manifest.Redactions = []Redaction{{"evt_0007", "output"}}
		}), Failed, []CheckName{CheckRedactions}},
		{"55 a redaction of a receipt that is not there", rolloutScope, edit(func(b *testBundle) {
			b.manifest.Redactions = []Redaction{{"evt_0004", "input"}}
		}), Failed, []CheckName{CheckRedactions}},
		{"57 a manifest of another version", rolloutScope, edit(func(b *testBundle) { b.manifest.Version = 2 }), Failed, []CheckName{CheckManifest}},
		{"12 an unknown member in the manifest", rolloutScope, func(t *testing.T, b *testBundle) {
			b.raw = changed(t, b.log.signer, b.raw, fields{"manifest": fields{"version": 1, "verified": true}})
		}, Failed, []CheckName{CheckManifest}},
		{"52 an export receipt without a manifest", rolloutScope, func(t *testing.T, b *testBundle) {
			b.raw = changed(t, b.log.signer, b.raw, fields{"manifest": nil})
		}, Failed, []CheckName{CheckManifest}},
		{"2 a manifest that is no JSON", rolloutScope, func(_ *testing.T, b *testBundle) { b.raw = []byte("hello") }, Malformed, []CheckName{CheckManifest, CheckEnvelope}},
		{"2 a line that is no receipt", rolloutScope, func(t *testing.T, b *testBundle) {
			b.files[FileReceipts] = append(b.files[FileReceipts], "{\"checkpoint\":\"\"}\n"...)
			b.list()
			b.seal(t)
		}, Malformed, []CheckName{CheckLine}},
		{"2 no receipts at all", rolloutScope, func(t *testing.T, b *testBundle) {
			b.files[FileReceipts] = nil
			b.list()
			b.seal(t)
		}, Failed, []CheckName{CheckReceipts}},
	})
}

// changed seals a receipt again with other members.
func changed(t *testing.T, s Signer, raw []byte, changes fields) []byte {
	t.Helper()
	r, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	body := fields{}
	if err := unmarshal(r.Body, &body); err != nil {
		t.Fatal(err)
	}
	for k, v := range changes {
		if v == nil {
			delete(body, k)
		} else {
			body[k] = v
		}
	}
	return sealBody(t, s, body)
}

func checkpointOf(t *testing.T, origin string, tree Tree, key string) string {
	t.Helper()
	signer, _, err := NoteKeys(origin, seedKey(key))
	if err != nil {
		t.Fatal(err)
	}
	text, err := SignCheckpoint(Checkpoint{origin, tree.Size(), tree.Root()}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// spoilProof drops the last node, adds one, or turns them about.
func spoilProof(t *testing.T, text []byte, how int) []byte {
	t.Helper()
	p, err := ParseProof(string(text))
	if err != nil {
		t.Fatal(err)
	}
	switch how {
	case 0:
		p.Hashes = p.Hashes[:len(p.Hashes)-1]
	case 1:
		p.Hashes = append(p.Hashes, leaf(1))
	default:
		slices.Reverse(p.Hashes)
	}
	if text, err = p.MarshalText(); err != nil {
		t.Fatal(err)
	}
	return text
}

// 17: everything is signed again with other keys. Only pinning shows it.
func TestTamperBundleOtherKeys(t *testing.T) {
	honest := storyLog(t)
	l := newLog(t, 0)
	l.signer = newSigner(t, "impostor")
	l.head.Keys[0] = NewReceiptPublicKey(l.signer.Public())
	for _, line := range honest.lines[2:] {
		l.lines = append(l.lines, testLine{l.tree.Size(), changed(t, l.signer, line.raw, fields{"key_id": l.signer.KeyID()})})
		r, err := Parse(l.lines[len(l.lines)-1].raw)
		if err != nil {
			t.Fatal(err)
		}
		l.tree = l.tree.Append(r.LeafHash)
	}
	b := bundleOf(t, l, rangeScope(0, 3))
	if r := b.both(t, Trust{}); r.Result == Failed || r.KeysPinned {
		t.Errorf("agrees with itself, and is %s: %+v", r.Result, r.Checks)
	}
	wantReport(t, b.both(t, honest.trust(t)), Failed, CheckKnownKey, CheckManifest)
}

// 25, 40, 41: an older log, or one that was rewritten, shows against a head
// that the auditor saved.
func TestTamperBundleAgainstSavedHeads(t *testing.T) {
	l := storyLog(t)
	head, err := ParseCheckpoint(l.checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	trust := l.trust(t)
	trust.Heads = []Checkpoint{head}
	older := storyLog(t)
	older.lines = older.lines[:9]
	older.tree = Tree{}.Append(older.leafHashes(t)...)
	rewritten := storyLog(t)
	rewritten.lines[11].raw = changed(t, l.signer, rewritten.lines[11].raw, fields{"actor": "eve"})
	rewritten.tree = Tree{}.Append(rewritten.leafHashes(t)...)
	for _, scope := range []Scope{rolloutScope, {Receipt: "evt_0008"}, rangeScope(2, 8)} {
		wantReport(t, bundleOf(t, older, scope).both(t, trust), Failed, CheckConsistency)
		wantReport(t, bundleOf(t, rewritten, scope).both(t, trust), Failed, CheckConsistency)
		wantReport(t, bundleOf(t, l, scope).both(t, trust), Verified)
		elsewhere := trust
		elsewhere.Heads = []Checkpoint{{Origin: "elsewhere", Size: 3, Root: head.Root}}
		wantReport(t, bundleOf(t, l, scope).both(t, elsewhere), Undetermined, CheckConsistency)
	}
}
