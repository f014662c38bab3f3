# Checks docs/receipts.md against the vectors. TestSpecificationProgram puts the
# code of the document before it and gives the folder of the vectors.

import base64
import copy
import json
import sys
from datetime import datetime, timedelta


def load(name):
    with open(sys.argv[1] + "/" + name, encoding="utf-8") as f:
        return json.load(f)


def canonical(v):
    """Of values that were read from canonical texts."""
    if isinstance(v, dict):
        members = sorted(v.items(), key=lambda m: m[0].encode("utf-16-be"))
        return "{" + ",".join(canonical(k) + ":" + canonical(x) for k, x in members) + "}"
    if isinstance(v, list):
        return "[" + ",".join(canonical(x) for x in v) + "]"
    if isinstance(v, (int, float)) and not isinstance(v, bool):
        return canonical_number(v)
    return json.dumps(v, ensure_ascii=False)


def same(got, want, what):
    if got != want:
        raise SystemExit("%s: computed %r, the vector has %r" % (what, got, want))


for c in load("canonical.json")["accepted"]:
    text = base64.b64decode(c["input_base64"]).decode()
    same(canonical(json.loads(text)).replace("\\u007f", "\x7f"), c["canonical"], c["name"])
for c in load("pae.json")["cases"]:
    same(pae(c["body"].encode()), base64.b64decode(c["pae_base64"]), "pae")
    same(integrity_hash(c["body"].encode()), c["integrity_hash"], "integrity hash")
    same(key_id(bytes.fromhex(c["public_key"])), c["key_id"], "key id")
for c in load("commitments.json")["cases"]:
    same(commitment(bytes.fromhex(c["salt"]), c["value"].encode()), c["commitment"], "commitment")
v = load("log.json")
for c in v["leaves"]:
    same(leaf_hash(c["event_id"], c["integrity_hash"]), base64.b64decode(c["hash"]), "leaf")
for c in v["sizes"]:
    same(root([base64.b64decode(l["hash"]) for l in v["leaves"][:c["size"]]]), base64.b64decode(c["root"]), "root")


def test_of(c):
    x, n = c["history"]
    if n:
        return History(c["budget"], c["planned"], c["first_look"], c["planned_history"], x, n)
    return Test(c["budget"], c["planned"], c["first_look"])


for c in load("looks.json")["cases"]:
    t, digest = test_of(c), ""
    for s in c["steps"]:
        want = s["look"]
        got = t.look(want["stratum"], s["design"], want["candidate"]["failures"], want["candidate"]["runs"],
                     want["baseline"]["failures"], want["baseline"]["runs"], s["absolute"], s["odds_ratio"])
        for member, value in got.items():
            same(value, want[member], c["name"] + " " + member)
        digest = chain(digest, canonical(want).encode())
        same(digest, s["digest"], c["name"] + " digest")
    same(digest, c["ledger_digest"], c["name"])


# The replay of rollouts.json: rollouts of one gate, success:rate, better higher.

def when(body):
    return datetime.strptime(body["recorded_at"], "%Y-%m-%dT%H:%M:%S.%fZ")


class Side:
    def __init__(self):
        self.n = self.failures = self.fresh = 0

    def add(self, value, fresh):
        self.n, self.failures, self.fresh = self.n + 1, self.failures + (value == 0), self.fresh + fresh


class Rollout:
    def __init__(self, body, index, epoch, history):
        self.policy = p = body["policy"]
        self.baseline, self.candidate = body["subject"]["baseline_release"], body["subject"]["candidate_release"]
        self.history, self.number, self.closed, self.ledger, self.looked = history, 1, [], "", 0
        self.here, self.earlier, self.past = [0, 0], 0.0, 0     # runs of this epoch's closed blocks, information, candidate runs against the history
        self.planned = 0.0
        for w in p["steps"]:
            if w < 100:
                self.planned += float(p["min_runs"]) * float(100 - w) / 100
        n = p["min_runs"] * (len(p["steps"]) - 1)
        args = (p["error_budget"], self.planned, p["first_look"])
        self.test = History(*args, weight(n, history[1]), *history) if history[1] else Test(*args)
        self.state, self.step, self.step_from, self.fresh, self.since = "active", 1, index + 1, 0, index + 1
        self.tested = self.reachable = self.regressed = False
        self.seq, self.prev = 0, ""
        self.begin(epoch, index + 1)

    def begin(self, epoch, index):
        self.epoch, self.first, self.last, self.digest = epoch, index, index - 1, b""
        self.counts = {epoch: {"c": Side(), "b": Side()}}           # by epoch: late outcomes are strata of their own
        self.runs = {"c": 0, "b": 0}

    def historical(self):
        return self.history[1] > 0 and self.runs["b"] < 5 and (self.runs["b"] == 0 or self.runs["c"] >= self.policy["first_look"])

    def totals(self):
        if self.historical():
            return self.here, self.past + self.runs["c"]
        return [self.here[0] + self.runs["c"], self.here[1] + self.runs["b"]], self.past

    def information(self, here, past):
        return self.earlier + weight(*here) + weight(past, self.history[1])

    def full(self):
        alone = self.history[1] > 0 and self.runs["c"] >= self.policy["first_look"]
        if self.runs["c"] < 5 or not (self.runs["b"] >= 5 or alone):
            return False
        before = self.information(self.here, self.past)
        return before < self.planned or self.information(*self.totals()) >= 1.01 * before

    def end(self, epoch, index):
        if self.runs["c"] > 0 and (self.runs["b"] > 0 or self.history[1] > 0):
            self.closed.append((self.number, self.epoch, self.first, self.last, self.digest.hex(), self.historical(), self.counts))
            self.number += 1
            self.here, self.past = self.totals()
        if epoch != self.epoch:
            self.earlier, self.here = self.earlier + weight(*self.here), [0, 0]
        self.begin(epoch, index)

    def side(self, release):
        return {self.candidate: "c", self.baseline: "b"}.get(release)

    def run(self, index, epoch, release, metrics):
        side = self.side(release)
        if side is None:
            return
        self.last, self.digest = index, chained(self.digest, index, side.encode())
        self.runs[side] += 1
        if "success" in metrics:
            self.counts[self.epoch][side].add(metrics["success"], True)
        if self.full():
            self.end(epoch, index + 1)

    def outcome(self, index, run_index, run_epoch, release, metrics):
        side = self.side(release)
        if side is None or run_index < self.since:
            return
        self.last, self.digest = index, chained(self.digest, index, side.encode())
        if "success" in metrics:
            into = self.counts.setdefault(run_epoch, {"c": Side(), "b": Side()})
            into[side].add(metrics["success"], run_index >= self.step_from)

    def tick(self):
        looks, blocks = [], []
        for b in self.closed[:60]:
            number, epoch, first, last, digest, historical, counts = b
            blocks.append({"number": number, "stratum": epoch, "first_index": first, "last_index": last, "runs_digest": digest})
            for stratum in sorted(counts):
                c, base = counts[stratum]["c"], counts[stratum]["b"]
                past = historical if stratum == epoch else self.history[1] > 0 and base.n == 0
                if c.n == 0 or not past and base.n == 0:
                    continue
                if first >= self.step_from:
                    self.fresh += c.fresh
                if self.regressed:
                    continue
                x, n = (0, 0) if past else (base.failures, base.n)
                args = (0 if past else stratum, 1 if past else 0, c.failures, c.n, x, n)
                worst = copy.deepcopy(self.test).look(*args[:2], c.n, *args[3:])
                looks.append((number, args, self.test.look(*args)))
                got = looks[-1][2]
                self.tested |= got["tested"]
                self.reachable |= got["tested"] and (got["boundary"] <= self.test.top or worst["regressed"])
                self.regressed = got["regressed"]
            self.looked = number
            if self.regressed:
                break
        more = len(self.closed) > 60
        self.closed = [b for b in self.closed if b[0] > self.looked]
        if self.regressed:
            decision = "rollback"
        elif more or self.state == "paused" or not self.tested or not self.reachable or self.fresh < self.policy["min_runs"]:
            decision = "hold"
        else:
            decision = "promote"
        return looks, blocks, decision


v = load("rollouts.json")
lines = [json.loads(l) for l in v["export"]]
raw = [l[len('{"log_index":%d,"receipt":{"body":' % i):l.rindex(',"key_id":"')].encode() for i, l in enumerate(v["export"][1:-1])]
same(base64.b64encode(root([leaf_hash(json.loads(b)["event_id"], integrity_hash(b)) for b in raw])).decode(), lines[-1]["checkpoint"].split("\n")[2], "root")

bodies = [l["receipt"]["body"] for l in lines[1:-1]]
epoch = span = runs_of_epoch = 0
began = None
rollouts, by_run, cohorts, decisions, pending = {}, {}, {}, 0, {}
tick_at = sorted((b["evidence"]["log_size"], i) for i, b in enumerate(bodies) if b["kind"] == "rollout_decision" and "evidence" in b)


def begin(body, index, new_span):
    global epoch, span, runs_of_epoch, began
    epoch, runs_of_epoch, began = epoch + 1, 0, when(body)
    if new_span or epoch - span >= 1000:
        span = epoch


for i, b in enumerate(bodies):
    while tick_at and tick_at[0][0] <= i:
        at = tick_at.pop(0)[1]
        pending[at] = rollouts[bodies[at]["subject"]["rollout_id"]].tick()
    if b["kind"] in ("agent_run", "rollout_created") and epoch == 0:
        begin(b, i, True)
    if b["kind"] == "agent_run":
        if runs_of_epoch >= 100000 or when(b) - began >= timedelta(hours=24):
            begin(b, i, False)
            for r in rollouts.values():
                r.end(epoch, i)
        runs_of_epoch += 1
        release = b["source"].get("release", "")
        by_run.setdefault(b["run_id"], (i, epoch, span, release))
        cohort = cohorts.setdefault((span, release), {"runs": 0, "first": i, "last": i, "at": None, "n": 0, "x": 0})
        cohort.update(runs=cohort["runs"] + 1, last=i, at=when(b))
        if "success" in b["metrics"]:
            cohort["n"] += 1
            cohort["x"] += b["metrics"]["success"] is False
        for r in rollouts.values():
            r.run(i, epoch, release, b["metrics"])
    if b["kind"] == "outcome":
        if b["run_id"] not in by_run:
            continue
        index, run_epoch, run_span, release = by_run[b["run_id"]]
        if "success" in b["metrics"]:
            cohorts[run_span, release]["n"] += 1
            cohorts[run_span, release]["x"] += b["metrics"]["success"] is False
        for r in rollouts.values():
            r.outcome(i, index, run_epoch, release, b["metrics"])
    if b["kind"] == "rollout_created":
        same(sha256(canonical(b["policy"]).encode()).hexdigest(), b["policy_digest"], "policy digest")
        past = []
        for key in sorted((k for k in cohorts if k[1] == b["subject"]["baseline_release"]), reverse=True):
            if sum(c["runs"] for c in past) >= 1000 or when(b) - cohorts[key]["at"] > timedelta(days=30):
                break
            past.append(cohorts[key])
        same((sum(c["runs"] for c in past), past[-1]["first"], past[0]["last"]),
             (b["history"]["runs"], b["history"]["first_index"], b["history"]["last_index"]), "history")
        begin(b, i, True)
        for r in rollouts.values():
            r.end(epoch, i + 1)
        same((epoch, epoch), (b["epoch"], b["first_epoch"]), "epoch")
        rollouts[b["subject"]["rollout_id"]] = Rollout(b, i, epoch, (sum(c["x"] for c in past), sum(c["n"] for c in past)))
    if b["kind"] in ("rollout_created", "rollout_decision", "rollout_action"):
        r = rollouts[b["subject"]["rollout_id"]]
        same((b["stream"]["seq"], b["stream"]["prev"]), (r.seq, r.prev), "stream")
        r.seq, r.prev = r.seq + 1, integrity_hash(raw[i])
    if b["kind"] == "rollout_action":
        r.state = {"pause": "paused", "resume": "active"}[b["action"]]
    if b["kind"] == "rollout_decision":
        decisions += 1
        looks, blocks, decision = pending.pop(i)
        same(blocks, b["evidence"]["blocks"], "blocks of receipt %d" % i)
        same(len(looks), len(b["evidence"]["looks"]), "looks of receipt %d" % i)
        for (number, args, got), want in zip(looks, b["evidence"]["looks"]):
            same((number, args), (want["block"], (want["stratum"], 1 if want.get("historical") else 0, want["candidate"]["failures"], want["candidate"]["runs"],
                                                  want["baseline"]["failures"], want["baseline"]["runs"])), "what look %d is of" % want["number"])
            for member, value in got.items():
                same(value, want[member], "look %d, %s" % (want["number"], member))
            r.ledger = chain(r.ledger, canonical(want).encode())
        same(r.ledger, b["evidence"]["ledger_digest"], "ledger of receipt %d" % i)
        same((decision, r.fresh, r.state), (b["decision"], b["fresh_runs"], b["state_before"]), "decision of receipt %d" % i)
        if decision != "hold":
            r.step, r.fresh, r.step_from = r.step + (decision == "promote"), 0, i + 1
            r.state = "rolled_back" if decision == "rollback" else "promoted" if r.step == len(r.policy["steps"]) else r.state
            begin(b, i, True)
            if r.state in ("rolled_back", "promoted"):
                rollouts = {k: x for k, x in rollouts.items() if x is not r}
            for other in rollouts.values():
                other.end(epoch, i + 1)
        same((r.state, r.step), (b["state"], b["step"]), "state after receipt %d" % i)

print("%d receipts, %d decisions" % (len(bodies), decisions))
