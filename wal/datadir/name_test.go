package datadir

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamesAreEscapedForTheDisk(t *testing.T) {
	for name, file := range map[string]string{
		"work":             "work",
		"Work_items-2.old": "Work_items-2.old",
		".":                "%2E",
		"..":               "%2E.",
		".lock":            "%2Elock",
		"a.b":              "a.b",
		"100%":             "100%25",
		"%2e%2e":           "%252e%252e",
		"orders+audit":     "orders%2Baudit",
		`..\..\windows`:    "%2E.%5C..%5Cwindows",
		"été":              "%C3%A9t%C3%A9",
		"\xff":             "%FF",
	} {
		got, err := DirName(name)
		if err != nil || got != file {
			t.Errorf("DirName(%q) = %q, %v, want %q", name, got, err, file)
		}
		if back, ok := QueueName(file); !ok || back != name {
			t.Errorf("QueueName(%q) = %q, %v, want %q", file, back, ok, name)
		}
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	for _, name := range []string{
		"", "a b", "a/b", "../../etc/passwd", "/", "a\x00", "a\n", "\x7f",
		strings.Repeat("a", 251), strings.Repeat("%", 86),
	} {
		if file, err := DirName(name); !errors.Is(err, ErrName) {
			t.Errorf("DirName(%q) = %q, %v, want ErrName", name, file, err)
		}
	}
	for _, name := range []string{strings.Repeat("a", 250), strings.Repeat("%", 85)} {
		if _, err := DirName(name); err != nil {
			t.Errorf("DirName(%q) = %v, want a name", name, err)
		}
	}
}

func TestDirectoriesThatAreNoQueuesAreKnown(t *testing.T) {
	for _, file := range []string{"", "a b", "%", "%2", "%2x", "%2e", "%41", "%ZZ", "a+b", ".x", "%2F", "%7F", "é"} {
		if name, ok := QueueName(file); ok {
			t.Errorf("QueueName(%q) = %q, want none", file, name)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"work", "..", "a/b", "%2e", "\xff.", "+", strings.Repeat("%", 85)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		file, err := DirName(string(name))
		if err != nil {
			if !errors.Is(err, ErrName) {
				t.Fatal(err)
			}
		} else {
			if file == "" || len(file) > 255 || file[0] == '.' || filepath.Base(file) != file ||
				strings.ContainsAny(file, "/\\\x00+ ") {
				t.Fatalf("%q is no safe path element", file)
			}
			if back, ok := QueueName(file); !ok || back != string(name) {
				t.Fatalf("%q became %q and then %q", name, file, back)
			}
		}
		if back, ok := QueueName(string(name)); ok {
			if again, err := DirName(back); err != nil || again != string(name) {
				t.Fatalf("directory %q is of queue %q, whose directory is %q", name, back, again)
			}
		}
	})
}
