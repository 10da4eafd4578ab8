package config

// Who may use the commands that are the administrator's.

import "fmt"

// Admin says who may use the administrator's commands. It is a flag.Value.
type Admin string

const (
	AdminDefault Admin = ""      // flush_all and delete are for all, other commands for this machine
	AdminLocal   Admin = "local" // peers on this machine
	AdminAll     Admin = "all"
	AdminOff     Admin = "off" // nobody
)

func (a Admin) String() string { return string(a) }

// Set parses text into a.
func (a *Admin) Set(text string) error {
	switch v := Admin(text); v {
	case AdminLocal, AdminAll, AdminOff:
		*a = v
		return nil
	}
	return fmt.Errorf("%q does not say who may use administrator's commands: give local, all or off", text)
}
