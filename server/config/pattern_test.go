package config

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustParse(t *testing.T, text string) pattern {
	t.Helper()
	p, err := parsePattern(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return p
}

func TestAStarIsAnyBytesAndAQuestionMarkIsOne(t *testing.T) {
	for text, names := range map[string]struct{ match, not string }{
		"logs.*":    {"logs. logs.a logs.a.b logs.\xff", "logs log.a xlogs.a"},
		"*":         {"a logs.a *", ""},
		"a?c":       {"abc a?c a*c", "ac abbc"},
		"a**c":      {"ac abc abcc", "a c acb"},
		"*.dead":    {".dead a.dead a.dead.dead", "dead a.dea"},
		"a*b*c":     {"abc aXbYc abcbc", "acb ab"},
		"%2A":       {"*", "a %2A"},
		"100%25":    {"100%", "100 100%25"},
		"%ff%FE?":   {"\xff\xfea", "\xff\xfe"},
		"ü*":        {"ü üb", "u"},
		"??":        {"ab ü", "a abc"},
		"*a*a*a*a*": {"aaaa baaaba", "aaa"},
	} {
		p := mustParse(t, text)
		for _, name := range strings.Fields(names.match) {
			if !p.matches(tokensOf(nil, name)) {
				t.Errorf("%s: does not match %q", text, name)
			}
		}
		for _, name := range strings.Fields(names.not) {
			if p.matches(tokensOf(nil, name)) {
				t.Errorf("%s: matches %q", text, name)
			}
		}
		if again := mustParse(t, p.String()); again.String() != p.String() {
			t.Errorf("%s: written as %s, and that as %s", text, p, again)
		}
	}
}

func TestWhatNoQueueCanBeCalledIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "a b", "a/*", "a%", "a%2", "a%G0", "%00", "a%20*", "?/",
		strings.Repeat("a", 251), strings.Repeat("?", 251), strings.Repeat("a", 251) + "*",
	} {
		if p, err := parsePattern(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, p)
		}
	}
}

// Few letters, so that much matches.
func patterns(t *rapid.T, label string) pattern {
	p, err := parsePattern(rapid.StringMatching(`[ab?*]{1,6}`).Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPatternsOverlapWhereANameMatchesBoth(t *testing.T) {
	var names []pattern
	for from := []string{""}; len(from[0]) < 8; {
		var longer []string
		for _, name := range from {
			longer = append(longer, name+"a", name+"b")
		}
		for _, name := range longer {
			names = append(names, tokensOf(nil, name))
		}
		from = longer
	}
	rapid.Check(t, func(t *rapid.T) {
		p, q := patterns(t, "p"), patterns(t, "q")
		both, onlyQ := false, false
		for _, name := range names {
			both = both || p.matches(name) && q.matches(name)
			onlyQ = onlyQ || q.matches(name) && !p.matches(name)
		}
		if got := p.overlaps(q); got != both || q.overlaps(p) != got {
			// The shortest name that both match may be longer than those tried.
			if !got || len(p)+len(q) <= 8 {
				t.Fatalf("%v and %v: got %v, want %v", p, q, got, both)
			}
		}
		if p.matches(q) && onlyQ {
			t.Fatalf("%v counts as for all of %v, and is not", p, q)
		}
	})
}
