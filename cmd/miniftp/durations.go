package main

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

// parseDuration reads 500ms, 30s, 1h30m or plain seconds: 5, 0.5.
func parseDuration(s string) (time.Duration, error) {
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

// durationFlag is a cli.DurationFlag that takes plain seconds, too, on the command line and
// in its environment variable.
type durationFlag struct{ cli.DurationFlag }

// newDuration returns the flag. Without text, the help shows value as the default.
func newDuration(name string, value time.Duration, text, usage string) *durationFlag {
	return &durationFlag{cli.DurationFlag{Name: name, Value: value, DefaultText: text, Usage: usage}}
}

// GetDefaultText returns the default as the help shows it, whatever the environment says.
func (f *durationFlag) GetDefaultText() string {
	if f.DefaultText != "" {
		return f.DefaultText
	}
	return shortTime(f.Value)
}

// Apply adds the flag to a set.
func (f *durationFlag) Apply(set *flag.FlagSet) error {
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

// duration is the value of a durationFlag.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Set(s string) error {
	v, err := parseDuration(s)
	if err == nil {
		*d = duration(v)
	}
	return err
}
