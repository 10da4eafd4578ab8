// Package cmdline lets flags follow arguments, as in "darner get orders --wait 5s". The flag parser
// would stop at the first argument that is not a flag.
package cmdline

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// FlagsFirst moves flags before other arguments; those of a subcommand stay after its name, as do
// those of a subcommand of it.
// Arguments after "--" are not flags.
func FlagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	at, flags, commands := 1, app.Flags, app.Commands
	for at < len(args) {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[at]) })
		if i < 0 {
			break
		}
		flags, commands = commands[i].Flags, commands[i].Subcommands
		at++
	}
	moved, rest, complete := splitFlags(flags, args[at:])
	if !complete {
		return slices.Concat(args[:at], moved) // the parser says which value is missing
	}
	return slices.Concat(args[:at], moved, []string{"--"}, rest)
}

// splitFlags splits arguments into flags with their values and others. It is not complete if the
// value of the last flag is missing.
func splitFlags(known []cli.Flag, args []string) (flags, rest []string, complete bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return flags, append(rest, args[i+1:]...), true
		case len(arg) < 2 || arg[0] != '-':
			rest = append(rest, arg)
		default:
			flags = append(flags, arg)
			if !takesValue(known, arg) {
				continue
			}
			if i++; i == len(args) {
				return flags, rest, false
			}
			flags = append(flags, args[i])
		}
	}
	return flags, rest, true
}

// takesValue reports whether the argument after a flag is its value.
func takesValue(known []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range known {
		if _, isBool := f.(*cli.BoolFlag); !isBool && slices.Contains(f.Names(), name) {
			return true
		}
	}
	return false
}
