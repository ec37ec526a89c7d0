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

	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/ftp/dtp"
)

// ParseDuration parses a duration such as 500ms, 30s or 1h30m, or a number of seconds such as 5 or
// 0.5.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(math.Abs(n) <= (1<<62)/1e9) || strings.ContainsAny(s, "xXpP_") { // the comparison also excludes NaN
		return 0, errors.New("not a duration")
	}
	return time.Duration(n * float64(time.Second)), nil
}

// DurationFlag is a cli.DurationFlag that also accepts plain seconds, on the command line and in
// its environment variable.
type DurationFlag struct{ cli.DurationFlag }

// Duration returns a DurationFlag. If text is empty, the help shows value as the default.
func Duration(name string, value time.Duration, text, usage string) *DurationFlag {
	return &DurationFlag{cli.DurationFlag{Name: name, Value: value, DefaultText: text, Usage: usage}}
}

// GetDefaultText returns the default that the help shows. It does not depend on the environment.
func (f *DurationFlag) GetDefaultText() string {
	if f.DefaultText != "" {
		return f.DefaultText
	}
	return DurationText(f.Value)
}

// Apply adds the flag to set.
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

// duration is the flag.Value of a DurationFlag.
type duration time.Duration

func (d *duration) String() string { return time.Duration(*d).String() }

func (d *duration) Set(s string) error {
	v, err := ParseDuration(s)
	if err == nil {
		*d = duration(v)
	}
	return err
}

// sizeUnits are the units of a size. The n-th letter, from 1, is the n-th power of the base.
const sizeUnits = "kmgt"

// ParseSize parses a number of bytes: 1500, 500k, 1.5M, 2GB or 2GiB. A unit is a power of base, or
// of 1024 if it ends in i or iB.
func ParseSize(s string, base int64) (int64, error) {
	const most = 1e15
	digits := strings.ToLower(strings.TrimSpace(s))
	digits = strings.TrimSuffix(digits, "b")
	if cut, binary := strings.CutSuffix(digits, "i"); binary {
		digits, base = cut, 1024
		if digits == "" || !strings.ContainsAny(digits[len(digits)-1:], sizeUnits) {
			return 0, errors.New("not a size")
		}
	}
	unit := float64(1)
	if digits != "" {
		power := strings.IndexByte(sizeUnits, digits[len(digits)-1])
		for range power + 1 {
			unit *= float64(base)
		}
		if power >= 0 {
			digits = digits[:len(digits)-1]
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "0123456789.") != "" || !(n*unit <= most) {
		return 0, errors.New("not a size")
	}
	return int64(n * unit), nil
}

// ByteRate parses the value of flag as bytes per second: 1500, 500k, 2M or 2GiB.
func ByteRate(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := ParseSize(s, 1000)
	if err != nil {
		return 0, verb.Usagef("%s %q: a rate is written as 500k, 2M or 2MiB, in bytes per second", flag, s)
	}
	return n, nil
}

// FromEnv reports whether the value of a flag comes from its environment variable. Package cli does not
// report that, so FromEnv compares the values: a flag that repeats the value of its variable counts as
// from the environment, which makes no difference.
func FromEnv(c *cli.Context, name string) bool {
	v, ok := os.LookupEnv(EnvName(name))
	b, err := strconv.ParseBool(v)
	if v == "" { // an empty variable turns a switch off
		b, err = false, nil
	}
	if now, bad := strconv.ParseBool(c.String(name)); err == nil && bad == nil && now == b {
		return ok
	}
	return ok && v == c.String(name)
}

// Asked reports whether a flag is given on the command line.
func Asked(c *cli.Context, name string) bool { return c.IsSet(name) && !FromEnv(c, name) }

// IsOn reports whether a flag with an optional value, such as --active, is given.
func IsOn(c *cli.Context, name string) bool { w := c.String(name); return w != "" && w != "false" }

// PortRange parses the value of flag: LO-HI, or a single port.
func PortRange(flag, s string) (dtp.PortRange, error) {
	if s == "" {
		return dtp.PortRange{}, nil
	}
	r, err := dtp.ParsePortRange(s)
	if err != nil {
		return r, verb.Usagef("%s %q: a range is written as 40000-40100", flag, s)
	}
	return r, nil
}

// DurationText formats a duration without trailing zero units: 5m, not 5m0s.
func DurationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
