package flags

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// ParseDuration reads 500ms, 30s, 1h30m or plain seconds: 5, 0.5.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(math.Abs(n) <= (1<<62)/1e9) || strings.ContainsAny(s, "xXpP_") { // nor NaN
		return 0, errors.New("not a duration")
	}
	return time.Duration(n * float64(time.Second)), nil
}

// DurationFlag is a cli.DurationFlag that takes plain seconds, too, on the command line and
// in its environment variable.
type DurationFlag struct{ cli.DurationFlag }

// Duration returns the flag. Without text, the help shows value as the default.
func Duration(name string, value time.Duration, text, usage string) *DurationFlag {
	return &DurationFlag{cli.DurationFlag{Name: name, Value: value, DefaultText: text, Usage: usage}}
}

// GetDefaultText returns the default as the help shows it, whatever the environment says.
func (f *DurationFlag) GetDefaultText() string {
	if f.DefaultText != "" {
		return f.DefaultText
	}
	return DurationText(f.Value)
}

// Apply adds the flag to a set.
func (f *DurationFlag) Apply(set *flag.FlagSet) error {
	value := duration(f.Value)
	for _, name := range f.EnvVars {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		if err := value.Set(text); err != nil {
			return fmt.Errorf("could not parse %q as duration value from environment variable %q for flag %s: %w", text, name, f.Name, err)
		}
		f.HasBeenSet = true
	}
	for _, name := range f.Names() {
		set.Var(&value, name, f.Usage)
	}
	return nil
}

// duration is the value of a DurationFlag.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Set(s string) error {
	v, err := ParseDuration(s)
	if err == nil {
		*d = duration(v)
	}
	return err
}
