package client

// What the server knows of the next item of a queue.

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Info is what is known of the head of a queue. Its times are in Unix ms, 0 is none.
type Info struct {
	Sequence   uint64
	Size       int64 // bytes
	Flags      uint32
	Enqueued   int64
	Expires    int64
	Due        int64   // until when it was delayed
	Deliveries uint32  // how often it was delivered and came back, at least
	From       *Origin // nil: it was not moved here
}

// Origin says where an item was before it was moved. The zero Origin is one that the server does
// not know.
type Origin struct {
	Queue      string
	Why        string // expired, undeliverable or unknown
	Sequence   uint64 // its number there
	Deliveries uint32 // how often it was delivered there, at least
}

// Info asks what is known of the next item of a queue, which stays. It is false if there is none.
func (c *Client) Info(queue string) (head Info, ok bool, err error) {
	if err := CheckName(queue); err != nil {
		return head, false, err
	}
	var odd error
	err = c.figures("info "+queue, func(name, value string) {
		if head.set(name, value) != nil && odd == nil {
			odd = unexpected("STAT " + name + " " + value)
		}
	})
	if err == ServerError("ERROR") {
		err = fmt.Errorf("the server does not know the command info: %w", err)
	}
	return head, head.Sequence != 0, first(err, odd)
}

// set sets a figure. Those that are not known are passed over.
func (i *Info) set(name, value string) (err error) {
	switch name {
	case "sequence":
		i.Sequence, err = strconv.ParseUint(value, 10, 64)
	case "size":
		i.Size, err = strconv.ParseInt(value, 10, 64)
	case "flags":
		err = parse32(value, &i.Flags)
	case "enqueued":
		i.Enqueued, err = strconv.ParseInt(value, 10, 64)
	case "expires":
		i.Expires, err = strconv.ParseInt(value, 10, 64)
	case "due":
		i.Due, err = strconv.ParseInt(value, 10, 64)
	case "deliveries":
		err = parse32(value, &i.Deliveries)
	case "from":
		i.From, err = parseOrigin(value)
	}
	return err
}

func parse32(text string, n *uint32) error {
	wide, err := strconv.ParseUint(text, 10, 32)
	*n = uint32(wide)
	return err
}

// parseOrigin reads "<queue> <why> <sequence> <deliveries>", and perhaps more words; "-" for none
// and "?" for one that is not known.
func parseOrigin(text string) (*Origin, error) {
	words := strings.Split(text, " ")
	switch {
	case text == "-":
		return nil, nil
	case text == "?":
		return new(Origin), nil
	case len(words) < 4:
		return nil, errors.New("too few words")
	}
	o := &Origin{Queue: words[0], Why: words[1]}
	seq, err := strconv.ParseUint(words[2], 10, 64)
	o.Sequence = seq
	return o, first(first(CheckName(o.Queue), err), parse32(words[3], &o.Deliveries))
}
