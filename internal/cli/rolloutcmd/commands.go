// Package rolloutcmd has the commands that declare, watch and steer rollouts:
// the program prova-rollout, and `prova rollout`. They reach a server through
// the SDK.
package rolloutcmd

// Commands is the grammar of the family.
type Commands struct {
	Create    Create    `cmd:"" help:"Declare a rollout of a candidate release against a baseline."`
	List      List      `cmd:"" help:"List rollouts, newest first."`
	Get       Get       `cmd:"" help:"Show one rollout, without a tick."`
	Watch     Watch     `cmd:"" help:"Tick a rollout until it is settled; the exit code is the verdict."`
	Evaluate  Evaluate  `cmd:"" help:"Tick one rollout, or all, once."`
	Pause     Pause     `cmd:"" help:"Stop a rollout from advancing; it may still roll back."`
	Resume    Resume    `cmd:"" help:"Let a paused rollout advance again."`
	Promote   Promote   `cmd:"" help:"Override the verdict for one step, with a reason that is signed."`
	Abort     Abort     `cmd:"" help:"End a rollout and take the candidate out of traffic."`
	Decisions Decisions `cmd:"" help:"Show the time line of decisions, each with its receipt."`
	Gate      Gate      `cmd:"" help:"Ask what a controller that stands at a weight should do."`
}

// JSON is the option that every command has.
type JSON struct {
	JSON bool `name:"json" help:"Print the answer as JSON on stdout."`
}

// ID is the option that names a rollout.
type ID struct {
	ID string `name:"id" required:"" placeholder:"ID" help:"The rollout."`
}
