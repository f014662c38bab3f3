package clientcmd

// Runs is the family of commands for runs.
type Runs struct {
	Import RunsImport `cmd:"" help:"Send runs from files."`
	Tail   RunsTail   `cmd:"" help:"Show runs as they arrive."`
}
