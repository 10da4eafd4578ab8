package config

// Names and patterns of queues as the file writes them. Names are bytes and TOML is UTF-8, so %XX
// stands for one byte. In a pattern * stands for any bytes, also none, and ? for one byte.

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/darner/darner/wal/datadir"
)

// token is one byte of a name, or a wildcard.
type token uint16

const (
	anyByte  token = 256 + iota // ?
	anyBytes                    // *
)

// pattern is what names match: bytes and wildcards.
type pattern []token

// parsePattern reads what a table is for. It fails if no queue can have such a name.
func parsePattern(text string) (pattern, error) {
	p, err := parseTokens(text, true)
	if err != nil {
		return nil, err
	}
	if p.isName() || len(p) == 0 {
		return p, datadir.CheckName(p.text())
	}
	shortest := make([]byte, 0, len(p))
	for _, t := range p {
		switch {
		case t == anyByte:
			shortest = append(shortest, '?')
		case t != anyBytes:
			shortest = append(shortest, byte(t))
		}
	}
	if len(shortest) > 0 {
		return p, datadir.CheckName(string(shortest))
	}
	return p, nil
}

// parseTokens reads a name, or a pattern if wildcards are such.
func parseTokens(text string, wildcards bool) (pattern, error) {
	p := make(pattern, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '%':
			b, err := strconv.ParseUint(text[i+1:min(i+3, len(text))], 16, 8)
			if err != nil || i+3 > len(text) {
				return nil, errors.New("a % is followed by two digits, as in %2A for a *; " +
					"%25 is a % itself")
			}
			p = append(p, token(b))
			i += 2
		case c == '?' && wildcards:
			p = append(p, anyByte)
		case c == '*' && wildcards:
			if len(p) == 0 || p[len(p)-1] != anyBytes {
				p = append(p, anyBytes)
			}
		default:
			p = append(p, token(c))
		}
	}
	return p, nil
}

// tokensOf appends the bytes of a name.
func tokensOf(to pattern, name string) pattern {
	for i := range len(name) {
		to = append(to, token(name[i]))
	}
	return to
}

// isName reports whether p has no wildcard.
func (p pattern) isName() bool { return len(p.prefix()) == len(p) }

// prefix is what stands before the first wildcard.
func (p pattern) prefix() string {
	n := slices.IndexFunc(p, func(t token) bool { return t >= anyByte })
	if n < 0 {
		n = len(p)
	}
	return p[:n].text()
}

// text returns the bytes of a p without wildcards.
func (p pattern) text() string {
	b := make([]byte, len(p))
	for i, t := range p {
		b[i] = byte(t)
	}
	return string(b)
}

// String writes p as parsePattern reads it.
func (p pattern) String() string {
	var b strings.Builder
	for rest := p; len(rest) > 0; {
		switch rest[0] {
		case anyByte:
			b.WriteByte('?')
			rest = rest[1:]
			continue
		case anyBytes:
			b.WriteByte('*')
			rest = rest[1:]
			continue
		}
		name := rest.prefix()
		b.WriteString(strings.NewReplacer("*", "%2A", "?", "%3F").Replace(escape(name)))
		rest = rest[len(name):]
	}
	return b.String()
}

// escape writes a name for a text of UTF-8 in which %XX stands for a byte.
func escape(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 || r == '%' || !strconv.IsPrint(r) {
			for i := range n {
				fmt.Fprintf(&b, "%%%02X", name[i])
			}
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// matches reports whether p stands for text. If text is a pattern itself, p then stands for all
// that text stands for.
func (p pattern) matches(text pattern) bool {
	if p.endsUnlike(text) {
		return false
	}
	star, resume := -1, 0 // the last * in p, and the end of what it stands for
	i, j := 0, 0
	for j < len(text) {
		switch {
		case i < len(p) && p[i] == anyBytes:
			star, resume = i, j
			i++
		case i < len(p) && (p[i] == text[j] || p[i] == anyByte && text[j] != anyBytes):
			i, j = i+1, j+1
		case star >= 0:
			resume++
			i, j = star+1, resume
		default:
			return false
		}
	}
	for i < len(p) && p[i] == anyBytes {
		i++
	}
	return i == len(p)
}

// endsUnlike reports whether p and q end in bytes that no name has both of. It is quick, for files
// with thousands of patterns.
func (p pattern) endsUnlike(q pattern) bool {
	for i, j := len(p)-1, len(q)-1; i >= 0 && j >= 0; i, j = i-1, j-1 {
		if p[i] == anyBytes || q[j] == anyBytes {
			return false
		}
		if p[i] != q[j] && p[i] != anyByte && q[j] != anyByte {
			return true
		}
	}
	return false
}

// overlaps reports whether a name may match both.
func (p pattern) overlaps(q pattern) bool {
	if p.endsUnlike(q) {
		return false
	}
	common := make([]bool, len(q)+1) // [j]: something matches both p[:i] and q[:j]
	common[0] = true
	for j, t := range q {
		common[j+1] = common[j] && t == anyBytes
	}
	for _, t := range p {
		before := common[0] // of p[:i-1] and q[:j-1]
		common[0] = before && t == anyBytes
		for j, u := range q {
			here := before && (t == u || t == anyByte || u == anyByte)
			if t == anyBytes || u == anyBytes {
				here = common[j+1] || common[j]
			}
			before, common[j+1] = common[j+1], here
		}
	}
	return common[len(q)]
}

// Name is the name of a queue, or empty. In text %XX stands for one byte.
type Name string

func (n Name) String() string { return escape(string(n)) }

// Set parses text into n.
func (n *Name) Set(text string) error {
	p, err := parseTokens(text, false)
	if err != nil {
		return err
	}
	name := p.text()
	if name != "" {
		if err := datadir.CheckName(name); err != nil {
			return fmt.Errorf("no queue can have this name: %w", err)
		}
	}
	*n = Name(name)
	return nil
}
