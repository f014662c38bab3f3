package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Completion prints a completion script, made from the grammar of the program
// that it is a command of.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: ${enum}."`
}

// Help shows how it is installed.
func (Completion) Help() string {
	return `Examples:

  source <(prova completion bash)
  prova completion zsh > "${fpath[1]}/_prova"
  prova completion fish > ~/.config/fish/completions/prova.fish`
}

// Run prints the script.
func (c Completion) Run(env *Env, k *kong.Kong) error {
	words := completions(k.Model.Node, nil)
	switch c.Shell {
	case "bash":
		return env.Print(bashCompletion(env.Program, words))
	case "zsh":
		return env.Print("#compdef " + env.Program + "\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion(env.Program, words))
	default:
		return env.Print(fishCompletion(env.Program, words))
	}
}

// place is what may follow a path of commands.
type place struct {
	path     []string
	commands []*kong.Node
	flags    []*kong.Flag
}

func completions(node *kong.Node, path []string) []place {
	p := place{path: path}
	for _, f := range node.Flags {
		if !f.Hidden {
			p.flags = append(p.flags, f)
		}
	}
	var below []place
	for _, child := range node.Children {
		if child.Hidden {
			continue
		}
		p.commands = append(p.commands, child)
		below = append(below, completions(child, append(slices.Clone(path), child.Name))...)
	}
	return append([]place{p}, below...)
}

// bashCompletion matches the words typed so far, without options, against the
// paths of commands.
func bashCompletion(program string, places []place) string {
	var b strings.Builder
	name := "_" + strings.ReplaceAll(program, "-", "_")
	fmt.Fprintf(&b, "%s() {\n  local cur=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" w\n", name)
	b.WriteString("  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    case \"$path $w\" in\n")
	for _, p := range places[1:] {
		fmt.Fprintf(&b, "      %q) path=%q ;;\n", " "+strings.Join(p.path, " "), " "+strings.Join(p.path, " "))
	}
	b.WriteString("    esac\n  done\n  case \"$path\" in\n")
	for _, p := range places {
		var words []string
		for _, c := range p.commands {
			words = append(words, c.Name)
		}
		for _, f := range p.flags {
			words = append(words, "--"+f.Name)
		}
		key := strings.Join(p.path, " ")
		if key != "" {
			key = " " + key
		}
		fmt.Fprintf(&b, "    %q) COMPREPLY=($(compgen -W %q -- \"$cur\")) ;;\n", key, strings.Join(words, " "))
	}
	fmt.Fprintf(&b, "  esac\n}\ncomplete -o default -F %s %s\n", name, program)
	return b.String()
}

func fishCompletion(program string, places []place) string {
	var b strings.Builder
	quote := func(s string) string {
		return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "'", `\'`) + "'"
	}
	for _, p := range places {
		condition := "__fish_use_subcommand"
		if len(p.path) > 0 {
			parts := make([]string, 0, 2*len(p.path))
			for _, word := range p.path {
				parts = append(parts, "__fish_seen_subcommand_from "+word)
			}
			condition = strings.Join(parts, "; and ")
		}
		for _, c := range p.commands {
			fmt.Fprintf(&b, "complete -c %s -f -n %s -a %s -d %s\n", program, quote(condition), quote(c.Name), quote(c.Help))
		}
		for _, f := range p.flags {
			fmt.Fprintf(&b, "complete -c %s -n %s -l %s -d %s\n", program, quote(condition), f.Name, quote(f.Help))
		}
	}
	return b.String()
}
