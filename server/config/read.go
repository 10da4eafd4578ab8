package config

// Where settings come from: a flag wins over the environment, that over the file, that over what
// the dialect presets, and that over the default.

import (
	"errors"
	"fmt"
	"strings"
)

// Sources are what an operator says. Everything in them may be wrong.
type Sources struct {
	File    string            // the path of the configuration file; empty: none
	Environ []string          // as os.Environ returns it
	Flags   map[string]string // by the names of settings
}

// Read returns the settings that are in force. Its errors are all that is wrong, one a line, each
// with its place: the file and line, the variable or the flag.
func Read(s Sources) (Config, error) {
	c := Default()
	c.sources, c.origin = &s, make(map[string]origin)
	var errs []error
	if s.File != "" {
		errs = append(errs, c.readFile())
	}
	variables := settingsOf(s.Environ)
	for _, x := range c.Settings() {
		if text, ok := variables[x.Name]; ok {
			errs = append(errs, c.set(x, text, Variable(x.Name)))
		}
	}
	for _, x := range c.Settings() {
		if text, ok := s.Flags[x.Name]; ok {
			errs = append(errs, c.set(x, text, "--"+x.Name))
		}
	}
	c.preset()
	return c, errors.Join(append(errs, c.Validate())...)
}

// set sets a setting and remembers where its value is from.
func (c *Config) set(s Setting, text, at string) error {
	if err := s.Value.Set(text); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	c.origin[s.Name] = origin{at: at}
	return nil
}

// Reread reads again what Read has read: the file as it is now, with the same environment and
// flags. A Config that Read did not return stays as it is.
func (c Config) Reread() (Config, error) {
	if c.sources == nil {
		return c, nil
	}
	return Read(*c.sources)
}

// origin is where a setting was set.
type origin struct {
	at  string // the file and line, the variable or the flag
	key string // in the file: the key, with the tables that it is in
}

func (o origin) String() string {
	if o.key == "" {
		return o.at
	}
	return o.at + ": " + o.key
}

// File is the path of the configuration file that was read; empty: none.
func (c Config) File() string {
	if c.sources == nil {
		return ""
	}
	return c.sources.File
}

// IsGiven reports whether a setting was set by anybody, to whatever value.
func (c Config) IsGiven(name string) bool { return c.origin[name] != origin{} }

// variablePrefix begins the name of every environment variable that is a setting.
const variablePrefix = "DARNER_"

// Variable returns the name of the environment variable of a setting: DARNER_MAX_DISK for max-disk.
func Variable(setting string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(setting, "-", "_"))
}

// settingsOf returns the settings in an environment by their names. An empty variable is none.
func settingsOf(environ []string) map[string]string {
	found := make(map[string]string)
	for name, text := range variables(environ) {
		if text != "" && name == strings.ToUpper(name) && !ofCluster(name, text) {
			found[strings.ToLower(strings.ReplaceAll(name, "_", "-"))] = text
		}
	}
	return found
}

// UnknownVariables returns the variables in an environment that look like settings and are none,
// each with the nearest that is. others are names, without the prefix, that mean something else.
func UnknownVariables(environ []string, others ...string) (unknown map[string]string) {
	unknown = make(map[string]string)
	known := make(map[string]bool)
	var names []string
	c := Default()
	for _, s := range c.Settings() {
		names = append(names, Variable(s.Name))
		known[Variable(s.Name)] = true
	}
	for _, name := range others {
		known[variablePrefix+name] = true
	}
	for name, text := range variables(environ) {
		if v := variablePrefix + name; !known[v] && !ofCluster(name, text) {
			unknown[v] = Nearest(v, names)
		}
	}
	return unknown
}

// variables returns the variables of an environment that begin with the prefix, without it.
func variables(environ []string) map[string]string {
	found := make(map[string]string)
	for _, v := range environ {
		if rest, ok := strings.CutPrefix(v, variablePrefix); ok {
			name, text, _ := strings.Cut(rest, "=")
			found[name] = text
		}
	}
	return found
}

// ofCluster reports whether Kubernetes or a Docker link made a variable, as for a service that is
// called darner: DARNER_PORT=tcp://10.0.0.1:22133, DARNER_SERVICE_HOST and more.
func ofCluster(name, text string) bool {
	return strings.Contains(text, "://") || strings.Contains("_"+name, "_SERVICE_") ||
		strings.Contains("_"+name, "_PORT_")
}
