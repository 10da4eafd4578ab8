package segment

// Compressing blocks, and decompressing bytes that may be anything.

import (
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// compressMost is the longest content that is compressed, in bytes. It bounds the memory that
// decompressing takes.
const compressMost = 64 << 20

// compressor compresses one block after another.
type compressor struct {
	codec Codec
	zstd  *zstd.Encoder
	out   []byte
}

func newCompressor(o ColdOptions) (*compressor, error) {
	c := &compressor{codec: o.Codec}
	var err error
	if o.Codec == CodecZstd {
		c.zstd, err = zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(max(o.Level, 1))),
			zstd.WithWindowSize(blockBytes), zstd.WithSingleSegment(true),
			zstd.WithEncoderCRC(false), zstd.WithEncoderConcurrency(1),
			zstd.WithLowerEncoderMem(true))
	}
	return c, err
}

// compress returns the bytes to store. They are valid until the next call.
func (c *compressor) compress(raw []byte) ([]byte, Codec) {
	switch {
	case len(raw) > compressMost:
	case c.codec == CodecZstd:
		c.out = c.zstd.EncodeAll(raw, c.out[:0])
	case c.codec == CodecS2:
		c.out = s2.Encode(c.out[:cap(c.out)], raw)
	}
	if c.codec == CodecNone || len(raw) > compressMost || len(c.out) >= len(raw) {
		return raw, CodecNone
	}
	return c.out, c.codec
}

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(compressMost), zstd.WithDecoderMaxWindow(compressMost),
		zstd.WithDecodeAllCapLimit(true), zstd.IgnoreChecksum(true))
	if err != nil {
		panic(err) // options that contradict each other
	}
	return d
})

// decompress returns the content of a block, which has raw bytes. It is false if stored is not such
// a block. The result may be stored itself.
func decompress(codec Codec, stored []byte, raw int) ([]byte, bool) {
	switch codec {
	case CodecNone:
		return stored, len(stored) == raw
	case CodecS2:
		if n, err := s2.DecodedLen(stored); err != nil || n != raw || raw > compressMost {
			return nil, false
		}
		out, err := s2.Decode(make([]byte, raw), stored)
		return out, err == nil
	case CodecZstd:
		var h zstd.Header
		if h.Decode(stored) != nil || !h.HasFCS || h.FrameContentSize != uint64(raw) ||
			raw > compressMost {
			return nil, false
		}
		out, err := decoder().DecodeAll(stored, make([]byte, 0, raw))
		return out, err == nil && len(out) == raw
	}
	return nil, false
}
