package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/darner/darner/cmd/internal/cmdline"
)

func TestFlagsMayFollowArguments(t *testing.T) {
	for in, want := range map[string]string{
		"darner":                                   "darner",
		"darner --port 0 -d x":                     "darner --port 0 -d x --",
		"darner get q":                             "darner get -- q",
		"darner get q --wait 5s -f":                "darner get --wait 5s -f -- q",
		"darner get --wait=5s q":                   "darner get --wait=5s -- q",
		"darner get --lines q -n 3":                "darner get --lines -n 3 -- q",
		"darner put q - file --lines":              "darner put --lines -- q - file",
		"darner put q -- --lines -x":               "darner put -- q --lines -x",
		"darner config show q --port 5":            "darner config show --port 5 -- q",
		"darner config show show":                  "darner config show -- show",
		"darner put q --server":                    "darner put --server",
		"darner stats --server 127.0.0.1:1 orders": "darner stats --server 127.0.0.1:1 -- orders",
	} {
		got := cmdline.FlagsFirst(app(), strings.Fields(in))
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: got %s, want %s", in, strings.Join(got, " "), want)
		}
	}
}
