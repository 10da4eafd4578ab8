package main

// Flags behind arguments: "darner get orders --wait 5s" should mean what it says, though the flag
// parser stops at the first argument that is no flag.

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a subcommand in front of its other arguments. What follows "--" is
// no flag.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	for _, command := range app.Commands {
		if command.HasName(args[1]) {
			flags, rest := splitFlags(command, args[2:])
			return slices.Concat(args[:2], flags, []string{"--"}, rest)
		}
	}
	return args
}

func splitFlags(command *cli.Command, args []string) (flags, rest []string) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			return flags, append(rest, args[i+1:]...)
		case len(arg) < 2 || arg[0] != '-':
			rest = append(rest, arg)
		default:
			flags = append(flags, arg)
			if i+1 < len(args) && takesValue(command, arg) {
				i++
				flags = append(flags, args[i])
			}
		}
	}
	return flags, rest
}

// takesValue reports whether the argument behind a flag belongs to it.
func takesValue(command *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range command.Flags {
		if _, isBool := f.(*cli.BoolFlag); !isBool && slices.Contains(f.Names(), name) {
			return true
		}
	}
	return false
}
