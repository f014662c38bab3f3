// Package evalcmd has the commands that compare releases, compute intervals
// and simulate rollouts: the program prova-eval, and `prova eval`. They run the engine that
// decides rollouts, on files without any server or on what a server has
// recorded.
package evalcmd

// Commands is the grammar of the family.
type Commands struct {
	Compare  Compare  `cmd:"" help:"Compare a candidate release with a baseline; the exit code is the verdict."`
	Interval Interval `cmd:"" help:"Compute one interval from numbers."`
	Simulate Simulate `cmd:"" help:"Play a policy against synthetic truth: false rollbacks, power, runs until the decision."`
	Report   Report   `cmd:"" help:"Measure the operating characteristics of the engine and write them down."`
}
