package memcache

// Words and numbers of a request line, read where they lie in the input buffer.

import "math"

// maxWords is one more than the words that any command but get can have.
const maxWords = 8

// nextWord cuts the first word off a line; it is empty if there is none.
func nextWord(line []byte) (word, rest []byte) {
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	j := i
	for j < len(line) && line[j] != ' ' {
		j++
	}
	return line[i:j], line[j:]
}

// lastWord cuts the last word off a line; it is empty if there is none.
func lastWord(line []byte) (rest, word []byte) {
	j := len(line)
	for j > 0 && line[j-1] == ' ' {
		j--
	}
	i := j
	for i > 0 && line[i-1] != ' ' {
		i--
	}
	return line[:i], line[i:j]
}

// splitWords puts the words of a line into w and returns how many there are, at most maxWords.
func splitWords(line []byte, w *[maxWords][]byte) int {
	for n := range w {
		if w[n], line = nextWord(line); len(w[n]) == 0 {
			return n
		}
	}
	return maxWords
}

// isWord compares without regard to case; want is in lower case.
func isWord(word []byte, want string) bool {
	if len(word) != len(want) {
		return false
	}
	for i, c := range word {
		if lower(c) != want[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// parseUint reads decimal digits; false for anything else and for numbers above limit.
func parseUint(word []byte, limit uint64) (uint64, bool) {
	if len(word) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range word {
		d := uint64(c - '0')
		if c < '0' || d > 9 || n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, n <= limit
}

// parseInt reads an integer with an optional sign.
func parseInt(word []byte) (int64, bool) {
	negative := len(word) > 0 && word[0] == '-'
	if negative || len(word) > 0 && word[0] == '+' {
		word = word[1:]
	}
	n, ok := parseUint(word, math.MaxInt64)
	if negative {
		return -int64(n), ok
	}
	return int64(n), ok
}
