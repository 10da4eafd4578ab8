package client

// What a queue has lost and refused, in words.

import (
	"slices"
	"strings"
)

// losses are the figures of what is lost, with words for each.
var losses = [][2]string{
	{"expired_items", "expired"}, {"dead_letters", "delivered too often"},
	{"discarded_full", "discarded for new ones"},
	{"discarded_flushed", "given back after a flush"}, {"damaged_records", "damaged"},
}

// Losses says how many items the queue has lost and refused since the start, and why; empty if
// none, or if the server does not say.
func (q QueueStats) Losses() string {
	var lost, refused []string
	for _, l := range losses {
		if n := q.Figure[l[0]]; n != "" && n != "0" {
			lost = append(lost, n+" "+l[1])
		}
	}
	for figure, n := range q.Figure {
		if why, ok := strings.CutPrefix(figure, "refused_"); ok && n != "0" {
			refused = append(refused, n+" "+strings.ReplaceAll(why, "_", " "))
		}
	}
	slices.Sort(refused)
	if len(refused) > 0 {
		lost = append(lost, q.Figure["refused"]+" refused ("+strings.Join(refused, ", ")+")")
	}
	return strings.Join(lost, ", ")
}
