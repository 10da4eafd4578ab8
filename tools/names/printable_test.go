package names

import "testing"

func TestATerminalIsNotGivenWhatItWouldObey(t *testing.T) {
	for name, want := range map[string]string{
		"work":           "work",
		"Aufträge:中文":    "Aufträge:中文",
		"\u009b31mred":   `"\u009b31mred"`,
		"\x9b31mred":     `"\x9b31mred"`,
		"\u202eevil":     `"\u202eevil"`,
		"a\u2028b":       `"a\u2028b"`,
		`"quoted"`:       `"\"quoted\""`,
		`"\u009b31mred"`: `"\"\\u009b31mred\""`,
	} {
		if got := Printable(name); got != want {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
}
