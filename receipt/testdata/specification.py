# Checks docs/receipts.md against the vectors. TestSpecificationProgram puts the
# code of the document before it and gives the folder of the vectors.

import base64
import copy
import json
import struct
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


def uvarint(n):
    out = b""
    while n >= 0x80:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])


def zigzag(n):
    return uvarint(2 * n if n >= 0 else -2 * n - 1)


def floats(*values):
    return b"".join(struct.pack(">d", v) for v in values)


def law_form(first, rows):
    out = uvarint(first) + uvarint(len(rows))
    for lo, cells in rows:
        out += uvarint(lo) + uvarint(len(cells)) + floats(*cells)
    return out


class Recorded:
    """A test with what its state holds beside it."""

    def __init__(self, test):
        self.test, self.level, self.threshold, self.mean = test, 0.0, b"\0" * 8, 14.5
        self.tested = self.reachable = self.regressed = self.varied = False
        self.odds, self.margin = {}, None

    def look(self, stratum, design, xc, nc, xb, nb, absolute=0.0, odds_ratio=1.0):
        t = self.test
        before, halvings = self.information(), t.halvings
        got = t.look(stratum, design, xc, nc, xb, nb, absolute, odds_ratio)
        self.mean /= 1 << t.halvings - halvings
        if t.halvings > 0:
            gain = weight(nc, nb) if design != 1 else got["information"] - before
            mean = sum(max(1, u >> min(t.halvings, 8)) for u in (16, 15, 14, 13)) / 4
            self.mean += min(gain / got["information"], 1) * (mean - self.mean)
        s = t.strata[stratum, design]
        self.odds[stratum, design] = margin_odds(s, design, absolute, odds_ratio)
        failures, runs = (xc + t.x0, nc + t.n0) if design == 1 else (xc + xb, nc + nb)
        self.varied |= failures > 0 and (design == 2 or failures < runs)
        self.threshold = bytes.fromhex("7ff8000000000001") if odds_ratio != 1 else floats(absolute)
        if design == 1:
            self.margin = (absolute, odds_ratio)
        self.regressed = got["regressed"]
        if got["tested"]:
            self.tested, self.level = True, got["level"]
            self.reachable |= got["boundary"] <= t.top
        return got

    def information(self):
        total = 0.0
        for key in sorted(self.test.strata):
            total += weight(self.test.strata[key][1], self.test.strata[key][3])
        return total

    def state(self):
        t = self.test
        past = (t.planned_history, t.x0, t.n0, t.by_node) if isinstance(t, History) else (0.0, 0, 0, False)
        out = b"\x02" + floats(t.budget, t.planned, past[0])
        for n in (t.first_look, past[1], past[2], t.looks, t.score, t.top, t.halvings):
            out += uvarint(n)
        out += floats(self.mean, t.used, self.level) + self.threshold
        flags = (self.tested, self.reachable, self.regressed, self.varied, past[3])
        out += uvarint(sum(1 << i for i, f in enumerate(flags) if f)) + uvarint(len(t.strata))
        for (stratum, design), (xc, nc, xb, nb) in sorted(t.strata.items()):
            out += zigzag(stratum) + b"".join(uvarint(n) for n in (design, xc, nc, xb, nb)) + floats(self.odds[stratum, design])
        if self.margin:
            out += floats(*self.margin)
        for j in (t.paths, t.scores):
            out += law_form(*j) if isinstance(t, History) else law_form(0, [j])
        return out


def test_of(c):
    x, n = c["history"]
    if n:
        return Recorded(History(c["budget"], c["planned"], c["first_look"], c["planned_history"], x, n))
    return Recorded(Test(c["budget"], c["planned"], c["first_look"]))


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
    if "state" in c:
        same(t.state().hex(), c["state"], c["name"] + " state")
    same(sha256(sha256(t.state()).digest()).hexdigest(), c["state_digest"], c["name"] + " state digest")


# The replay of rollouts.json: rollouts of one gate, success:rate, better higher, one of them with a judge.

def when(body):
    return datetime.strptime(body["recorded_at"], "%Y-%m-%dT%H:%M:%S.%fZ")


class Cohort:
    """Of one release in one span of one epoch: runs that are units of their own, with success alone."""

    def __init__(self, index):
        self.runs, self.first, self.last, self.at, self.values = 0, index, index, None, {}

    def add(self, unit, success):
        self.values[unit] = success

    def summary(self):
        def tally(count, total):                               # whole sums only
            return uvarint(2 * count + 1) + uvarint(2 * total)

        def table(entries):
            out, before = uvarint(len(entries)), 0
            for key, value in sorted(entries.items()):
                out, before = out + uvarint(key - before) + value, key
            return out

        def bin_of(v):
            n = (struct.unpack(">Q", struct.pack(">d", abs(v)))[0] >> 44) - 993 * 256
            return 0 if n < 0 else min(n, 23039) + 1 if v > 0 else -min(n, 23039) - 1

        n, ones = len(self.values), sum(self.values.values())
        bins = {bin_of(float(v)) + (1 << 20): uvarint(count) for v, count in ((0, n - ones), (1, ones)) if count}
        return (b"\x01" + uvarint(n) + uvarint(ones) + uvarint(n - ones) + tally(n, ones) + b"\0"
                + table({unit: tally(1, int(v)) for unit, v in self.values.items()}) + table(bins))

    def ref(self):
        mix = b"\x01\0\x01\0" + uvarint(self.runs)            # one name, the empty one
        parts = b"\0" + sha256(mix + mix).digest()
        if self.values:
            parts += b"success\0" + sha256(self.summary()).digest()
        return {"runs": self.runs, "first_index": self.first, "last_index": self.last, "digest": sha256(parts).hexdigest()}


class Side:
    def __init__(self):
        self.n = self.failures = self.fresh = 0

    def add(self, value, fresh):
        self.n, self.failures, self.fresh = self.n + 1, self.failures + (value == 0), self.fresh + fresh


def difference(recorded, apart=rates_apart):
    """The interval of the last look, of successes."""
    t = recorded.test
    if not recorded.tested or not recorded.varied:
        return None
    nodes, rows, row_shares = None, [t.scores], []
    if isinstance(t, History):
        nodes, rows = t.nodes, t.scores[1]
        if t.by_node:
            row_shares = [[float(i == k) for k in range(NODES)] for i in range(NODES)]
        elif nodes:
            row_shares = [shares(p) for _, p in zip(rows, posteriors(nodes, t.scores[0], t.runs))]
    strata = [(t.strata[key], recorded.odds[key]) for key in sorted(t.strata)]
    threshold = struct.unpack(">d", recorded.threshold)[0]
    estimate, lo, hi = interval(Tilt(rows, nodes, row_shares), t.score, recorded.level, recorded.mean, strata, threshold, recorded.regressed, apart)
    return -estimate, -hi, -lo


class Judge:
    """The judge's gate of a policy under guarantee rollout."""

    def __init__(self, policy, index, budget):
        self.asked, self.since, self.next, self.digest = policy["pairwise"], index, index, b""
        self.min_pairs, self.max_age = self.asked["min_pairs"], self.asked["max_age"]
        self.test = Recorded(Test(budget, float(self.min_pairs) / 2, min(self.min_pairs, 30)))
        self.judge, self.other, self.newest, self.block, self.closed, self.here = None, 0, None, 0, 0, []
        self.figures = dict.fromkeys(("wins", "losses", "ties", "no_verdict", "repeats", "both_orders", "agreed", "first_twice", "second_twice",
                                      "longer_wins", "longer_known"), 0)
        self.reachable = self.regressed = False

    def counts(self, judge):
        return judge == self.judge if self.judge else all(judge.get(k, "") == v for k, v in self.asked.get("judge", {}).items())

    def hear(self, judgments):
        """judgments: index and body of those of both releases since the evidence began."""
        settled, looks = set(), []
        for index, b in judgments:
            key = (canonical(b["judge"]), b["probe_id"])
            if index >= self.next:
                if len(looks) == 20:
                    return looks, True
                self.next, self.digest = index + 1, heard(self.digest, index, b["verdict"])
                if self.counts(b["judge"]):
                    self.judge = b["judge"]
                    self.add(b, key in settled)
                    looks += self.close()
                else:
                    self.other += 1
            if b["verdict"] != "none":
                settled.add(key)
        return looks, False

    def add(self, b, repeat):
        f, verdict = self.figures, b["verdict"]
        f[{"candidate": "wins", "baseline": "losses", "tie": "ties", "none": "no_verdict"}[verdict] if not repeat else "repeats"] += 1
        if verdict == "none":
            return
        self.newest = when(b)
        if repeat:
            return
        self.here.append(verdict)
        said = [a["verdict"] for a in b.get("answers", [])]
        if len(said) == 2:
            preferred = [{"first": a["first"], "second": "baseline" if a["first"] == "candidate" else "candidate"}.get(a["verdict"], a["verdict"]) for a in b["answers"]]
            f["both_orders"] += 1
            f["agreed"] += preferred[0] == preferred[1]
            f["first_twice"] += said == ["first"] * 2 and preferred[0] != preferred[1]
            f["second_twice"] += said == ["second"] * 2 and preferred[0] != preferred[1]
        lengths = [b.get("baseline_chars"), b.get("candidate_chars")]
        if verdict != "tie" and None not in lengths and lengths[0] != lengths[1]:
            f["longer_known"] += 1
            f["longer_wins"] += (lengths[1] > lengths[0]) == (verdict == "candidate")

    def close(self):
        wins, losses = self.here.count("candidate"), self.here.count("baseline")
        n = wins + losses
        if len(self.here) < 5 or self.closed >= self.min_pairs and float(self.closed + n) < 1.05 * self.closed:
            return []
        self.here, self.block, self.closed = [], self.block + 1, self.closed + n
        if n == 0 or self.regressed:
            return []
        got = self.test.look(0, 2, losses, n, wins, n)
        self.reachable |= got["tested"] and got["boundary"] <= self.test.test.top
        self.regressed = got["regressed"]
        return [(self.block, (0, 2, losses, n, wins, n), got)]

    def result(self, now):
        """What stands in verdict.pairwise, and can be had from part two without words."""
        f, t = self.figures, self.test
        n = f["wins"] + f["losses"]
        age = int((now - self.newest).total_seconds()) if self.newest else None
        if self.regressed:
            verdict, code = "regressed", "pairwise_regressed"
        elif not self.judge:
            verdict, code = "insufficient", "pairwise_other_judge" if self.other else "pairwise_unavailable"
        elif n < self.min_pairs or not self.reachable:
            verdict, code = "insufficient", "pairwise_too_few"
        elif 0 < self.max_age < age:
            verdict, code = "insufficient", "pairwise_stale"
        else:
            verdict, code = "clean", "pairwise_clean"
        lo, hi = wilson(float(f["wins"]), float(n), 1.9599639845400536)
        rate = {"x": f["wins"], "n": n, "value": f["wins"] / n if n else None, "lo": lo if n else None, "hi": hi if n else None}
        d = difference(t, pairs_apart)
        decided = n + f["ties"]
        return {"judge": self.judge, "figures": f, "other_judge": self.other, "win_rate": rate, "age_seconds": age, "verdict": verdict, "code": code,
                "win_rate_half_ties": (f["wins"] + f["ties"] / 2) / decided if decided else None, "at_look": d and tuple((1 + v) / 2 for v in d)}


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
        asked = p.get("pairwise")
        budget = p["error_budget"] / (2 if asked and asked["on"] == p["gates"][0]["on"] else 1)
        self.judge = Judge(p, index + 1, budget) if asked else None
        self.step_at = when(body)
        args = (budget, self.planned, p["first_look"])
        self.test = Recorded(History(*args, weight(n, history[1]), *history) if history[1] else Test(*args))
        self.first_epoch = epoch
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

    def one_look(self, spans):
        """The ordinary interval of success, at 95 %; spans are of candidate and baseline."""
        strata, values = [], [0.0, 0.0]
        for pair in spans:
            counts = [(sum(c.values.values()), len(c.values)) if c else (0, 0) for c in pair]
            if self.past and pair[0] and (pair[1].runs if pair[1] else 0) < 5:
                counts[1] = (self.history[1] - self.history[0], self.history[1])
            strata.append(counts[0] + counts[1])
        for side in (0, 2):
            n = sum(s[side + 1] for s in strata)
            values[side // 2] = float(sum(s[side] for s in strata)) / float(n) if n else 0.0
        d = newcombe(strata, 1.9599639845400536)
        if d is None:
            return None
        e = 1e-12 * max(values)
        estimate = 0.0 if abs(d[0]) <= e else d[0]
        return (estimate, *(estimate if abs(v - estimate) <= e else v for v in d[1:]))

    def tick(self, judgments, now):
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
                self.reachable |= got["tested"] and (got["boundary"] <= self.test.test.top or worst["regressed"])
                self.regressed = got["regressed"]
            self.looked = number
            if self.regressed:
                break
        more, judged = len(self.closed) > 60, False
        self.closed = [b for b in self.closed if b[0] > self.looked]
        if self.judge:
            new, left = self.judge.hear([j for j in judgments if j[1]["subject"] == {"baseline_release": self.baseline, "candidate_release": self.candidate}
                                         and j[0] >= self.judge.since])
            looks, more, judged = looks + new, more or left, self.judge.regressed
        if self.regressed or judged:
            decision = "rollback"
        elif more or self.state == "paused" or self.judge and self.judge.result(now)["verdict"] != "clean" or not self.tested or not self.reachable or self.fresh < self.policy["min_runs"]:
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
rollouts, by_run, units, cohorts, decisions, pending = {}, {}, {}, {}, 0, {}
judgments, calibrations = [], []
tick_at = sorted((b["evidence"]["log_size"], i) for i, b in enumerate(bodies) if b["kind"] == "rollout_decision" and "evidence" in b)


def begin(body, index, new_span):
    global epoch, span, runs_of_epoch, began
    epoch, runs_of_epoch, began = epoch + 1, 0, when(body)
    if new_span or epoch - span >= 1000:
        span = epoch


for i, b in enumerate(bodies):
    while tick_at and tick_at[0][0] <= i:
        at = tick_at.pop(0)[1]
        r = rollouts[bodies[at]["subject"]["rollout_id"]]
        strata, spans = [], []
        for s in sorted({k[0] for k in cohorts if k[0] >= r.first_epoch}):
            found = {name: cohorts[s, release].ref() if (s, release) in cohorts else {"runs": 0, "first_index": 0, "last_index": 0, "digest": ""}
                     for name, release in (("candidate", r.candidate), ("baseline", r.baseline))}
            if any(c["digest"] for c in found.values()):
                strata.append({"span": s, **found})
                spans.append([cohorts.get((s, release)) for release in (r.candidate, r.baseline)])
        one_look = r.one_look(spans)
        now = r.step_at + timedelta(seconds=bodies[at]["evidence"]["step_seconds"])
        pending[at] = r.tick(judgments, now) + (strata, one_look, difference(r.test), r.judge and r.judge.result(now))
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
        cohort = cohorts.setdefault((span, release), Cohort(i))
        cohort.runs, cohort.last, cohort.at = cohort.runs + 1, i, when(b)
        units[b["run_id"]] = seed("run", b["event_id"])
        if "success" in b["metrics"]:
            cohort.add(units[b["run_id"]], b["metrics"]["success"])
        for r in rollouts.values():
            r.run(i, epoch, release, b["metrics"])
    if b["kind"] == "outcome":
        if b["run_id"] not in by_run:
            continue
        index, run_epoch, run_span, release = by_run[b["run_id"]]
        if "success" in b["metrics"]:
            cohorts[run_span, release].add(units[b["run_id"]], b["metrics"]["success"])
        for r in rollouts.values():
            r.outcome(i, index, run_epoch, release, b["metrics"])
    if b["kind"] == "pairwise_judgment":
        judgments.append((i, b))
    if b["kind"] == "judge_calibration":
        calibrations.append({**b["calibration"], "event_id": b["event_id"], "recorded_at": b["recorded_at"]})
    if b["kind"] == "rollout_created":
        same(sha256(canonical(b["policy"]).encode()).hexdigest(), b["policy_digest"], "policy digest")
        past = []
        for key in sorted((k for k in cohorts if k[1] == b["subject"]["baseline_release"]), reverse=True):
            if sum(c.runs for c in past) >= 1000 or when(b) - cohorts[key].at > timedelta(days=30):
                break
            past.append(cohorts[key])
        h = {"runs": sum(c.runs for c in past), "first_index": past[-1].first, "last_index": past[0].last}
        success = Cohort(0)
        for c in past:
            success.values.update(c.values)
        text = '{"runs":%d,"first_index":%d,"last_index":%d,"metrics":{"success":"%s"}}' % (*h.values(), base64.b64encode(success.summary()).decode())
        same({**h, "digest": sha256(text.encode()).hexdigest()}, b["history"], "history")
        begin(b, i, True)
        for r in rollouts.values():
            r.end(epoch, i + 1)
        same((epoch, epoch), (b["epoch"], b["first_epoch"]), "epoch")
        rollouts[b["subject"]["rollout_id"]] = Rollout(b, i, epoch, (sum(not x for x in success.values.values()), len(success.values)))
    if b["kind"] in ("rollout_created", "rollout_decision", "rollout_action"):
        r = rollouts[b["subject"]["rollout_id"]]
        same((b["stream"]["seq"], b["stream"]["prev"]), (r.seq, r.prev), "stream")
        r.seq, r.prev = r.seq + 1, integrity_hash(raw[i])
    if b["kind"] == "rollout_action":
        r.state = {"pause": "paused", "resume": "active"}[b["action"]]
    if b["kind"] == "rollout_decision":
        decisions += 1
        looks, blocks, decision, strata, one_look, tested, judged = pending.pop(i)
        gate = b["verdict"]["gates"][0]
        for name, here in (("difference", tested), ("one_look", one_look)):
            shown = gate.get(name)
            same(here, shown and (shown["estimate"], shown["lo"], shown["hi"]), name + " of receipt %d" % i)
        same(strata, b["evidence"]["strata"], "strata of receipt %d" % i)
        same(blocks, b["evidence"]["blocks"], "blocks of receipt %d" % i)
        same(len(looks), len(b["evidence"]["looks"]), "looks of receipt %d" % i)
        for (number, args, got), want in zip(looks, b["evidence"]["looks"]):
            design = 2 if want["gate"] == "pairwise" else 1 if want.get("historical") else 0
            same((number, args), (want["block"], (want["stratum"], design, want["candidate"]["failures"], want["candidate"]["runs"],
                                                  want["baseline"]["failures"], want["baseline"]["runs"])), "what look %d is of" % want["number"])
            for member, value in got.items():
                same(value, want[member], "look %d, %s" % (want["number"], member))
            r.ledger = chain(r.ledger, canonical(want).encode())
        same(r.ledger, b["evidence"]["ledger_digest"], "ledger of receipt %d" % i)
        states = [r.test] + ([r.judge.test] if r.judge else [])
        same(sha256(b"".join(sha256(t.state()).digest() for t in states)).hexdigest(), b["evidence"]["state_digest"], "state of receipt %d" % i)
        if r.judge:
            j, shown = r.judge, b["verdict"]["pairwise"]
            same({"since": j.since, "next": j.next, "digest": j.digest.hex()}, b["evidence"]["judgments"], "judgments of receipt %d" % i)
            apart = shown.get("at_look")
            same(judged, {**{name: shown.get(name) for name in judged}, "code": shown["reason"]["code"],
                          "at_look": apart and (apart["estimate"], apart["lo"], apart["hi"])}, "judge of receipt %d" % i)
            same(next((c for c in reversed(calibrations) if c["judge"] == j.judge), None), shown["calibration"], "calibration of receipt %d" % i)
        same((decision, r.fresh, r.state), (b["decision"], b["fresh_runs"], b["state_before"]), "decision of receipt %d" % i)
        if decision != "hold":
            r.step, r.fresh, r.step_from, r.step_at = r.step + (decision == "promote"), 0, i + 1, when(b)
            r.state = "rolled_back" if decision == "rollback" else "promoted" if r.step == len(r.policy["steps"]) else r.state
            begin(b, i, True)
            if r.state in ("rolled_back", "promoted"):
                rollouts = {k: x for k, x in rollouts.items() if x is not r}
            for other in rollouts.values():
                other.end(epoch, i + 1)
        same((r.state, r.step), (b["state"], b["step"]), "state after receipt %d" % i)

print("%d receipts, %d decisions" % (len(bodies), decisions))
