package settings

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb/flags"
)

// fileValue is a value of the file as the flag would have it.
func fileValue(f cli.Flag, raw any) (any, error) {
	switch f.(type) {
	case *cli.BoolFlag:
		if b, ok := raw.(bool); ok {
			return b, nil
		}
		return nil, errors.New("it is true or false")
	case *cli.IntFlag:
		if n, ok := raw.(int64); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
			return int(n), nil
		}
		return nil, errors.New("it is a whole number")
	case *flags.DurationFlag:
		text := fmt.Sprint(raw)
		if d, err := flags.ParseDuration(text); err == nil {
			return d, nil
		}
		return nil, errors.New(`it is a number of seconds, or a time in quotes: "500ms", "30s" or "5m"`)
	case *cli.StringSliceFlag:
		return texts(raw)
	}
	switch v := raw.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	}
	return nil, errors.New(`it is a text, in quotes: "…"`)
}

// texts is a list of texts, or a single one.
func texts(raw any) ([]string, error) {
	if s, ok := raw.(string); ok {
		return []string{s}, nil
	}
	list, ok := raw.([]any)
	all := make([]string, 0, len(list))
	for _, item := range list {
		s, isText := item.(string)
		ok = ok && isText
		all = append(all, s)
	}
	if !ok {
		return nil, errors.New(`it is a list of texts: ["…", "…"]`)
	}
	return all, nil
}

// flagValue is what the command line or the environment says.
func flagValue(c *cli.Context, f cli.Flag) any {
	name := f.Names()[0]
	switch f.(type) {
	case *cli.BoolFlag:
		return c.Bool(name)
	case *cli.IntFlag:
		return c.Int(name)
	case *flags.DurationFlag:
		return c.Duration(name)
	case *cli.StringSliceFlag:
		return c.StringSlice(name)
	}
	return c.String(name)
}

// envValue is a variable's text as the flag would have it.
func envValue(f cli.Flag, text string) any {
	switch f.(type) {
	case *cli.BoolFlag:
		b, _ := strconv.ParseBool(text)
		return b
	case *cli.IntFlag:
		n, _ := strconv.ParseInt(text, 0, 0)
		return int(n)
	case *flags.DurationFlag:
		d, _ := flags.ParseDuration(text)
		return d
	case *cli.StringSliceFlag:
		return []string{text}
	}
	return text
}

func defaultOf(f cli.Flag) any {
	switch f := f.(type) {
	case *cli.BoolFlag:
		return f.Value
	case *cli.IntFlag:
		return f.Value
	case *flags.DurationFlag:
		return f.Value
	case *cli.StringSliceFlag:
		return []string(nil)
	case *cli.StringFlag:
		return f.Value
	}
	return ""
}
