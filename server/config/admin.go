package config

// Who may use the administrator's commands.

import "fmt"

// Admin says who may use the administrator's commands. It is a flag.Value.
type Admin string

const (
	AdminDefault Admin = ""      // all may use flush, flush_all and delete, local clients the others
	AdminLocal   Admin = "local" // clients on this machine
	AdminAll     Admin = "all"   // everybody
	AdminOff     Admin = "off"   // nobody
)

func (a Admin) String() string { return string(a) }

// Set parses text into a.
func (a *Admin) Set(text string) error {
	switch v := Admin(text); v {
	case AdminLocal, AdminAll, AdminOff:
		*a = v
		return nil
	}
	return fmt.Errorf("%q is not one of local, all, off", text)
}
