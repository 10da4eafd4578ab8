package kestrel

import "encoding/binary"

// file is a journal that its methods append operations to.
type file []byte

func (f file) code(c byte) file    { return append(f, c) }
func (f file) i32(n int32) file    { return binary.LittleEndian.AppendUint32(f, uint32(n)) }
func (f file) i64(n int64) file    { return binary.LittleEndian.AppendUint64(f, uint64(n)) }
func (f file) bytes(s string) file { return append(f, s...) }

func (f file) item(s string, added, expires int64) file {
	return f.i32(int32(stampSize + len(s))).i64(added).i64(expires).bytes(s)
}

func (f file) add(s string, expires int32) file {
	return f.code(codeAdd).i32(int32(4 + len(s))).i32(expires).bytes(s)
}
func (f file) addX(s string, added, expires int64) file {
	return f.code(codeAddX).item(s, added, expires)
}
func (f file) addID(id int32, s string, added, expires int64) file {
	return f.code(codeAddID).i32(id).item(s, added, expires)
}
func (f file) resume(id int32, s string, added, expires int64) file {
	return f.code(codeDumpOrContinue).i32(id).item(s, added, expires)
}
func (f file) remove() file             { return f.code(codeRemove) }
func (f file) open() file               { return f.code(codeRemoveTentative) }
func (f file) openID(id int32) file     { return f.code(codeRemoveTentativeID).i32(id) }
func (f file) saveID(id int32) file     { return f.code(codeSaveID).i32(id) }
func (f file) unremove(id int32) file   { return f.code(codeUnremove).i32(id) }
func (f file) confirm(id int32) file    { return f.code(codeConfirm).i32(id) }
func (f file) dump(id, open int32) file { return f.code(codeDumpOrContinue).i32(id).i32(open) }
