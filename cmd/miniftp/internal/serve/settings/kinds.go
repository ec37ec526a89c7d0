package settings

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/verb/flags"
)

// fieldValue is a field of Settings with its default. It hides the field's Go type.
type fieldValue interface {
	field() any // a pointer to the field
	reset()     // sets the field to its default
	atDefault() bool
	take(other fieldValue) // copies the value of the same setting of another Config
	shown() any            // the value, as config show prints it

	flag(r *row) cli.Flag
	setFlag(c *cli.Context, name string)
	isEnv(text string) bool // reports whether text, as the value of a variable, means the field's value
	setFile(raw any) error  // raw is a value as package toml decodes it

	texts() []*string // the strings of a text or a list, else nil
	sign() int        // the sign of a number or a duration, else 1
}

// value is a setting of the Go type T.
type value[T any] struct {
	at       *T
	standard T
	*form[T]
}

// form says how settings of the Go type T are read and shown. Functions that do not apply to T are
// nil.
type form[T any] struct {
	makeFlag func(r *row, standard T) cli.Flag
	readFlag func(c *cli.Context, name string) T
	readEnv  func(text string) T
	readFile func(raw any) (T, error)
	show     func(v T) any
	textsOf  func(v *T) []*string
	signOf   func(v T) int
}

func (v value[T]) field() any                          { return v.at }
func (v value[T]) reset()                              { *v.at = v.standard }
func (v value[T]) atDefault() bool                     { return v.same(v.standard) }
func (v value[T]) take(other fieldValue)               { *v.at = *other.field().(*T) }
func (v value[T]) flag(r *row) cli.Flag                { return v.makeFlag(r, v.standard) }
func (v value[T]) setFlag(c *cli.Context, name string) { *v.at = v.readFlag(c, name) }
func (v value[T]) isEnv(text string) bool              { return v.same(v.readEnv(text)) }
func (v value[T]) shown() any                          { return v.shownAs(*v.at) }
func (v value[T]) same(other T) bool                   { return reflect.DeepEqual(v.shown(), v.shownAs(other)) }

func (v value[T]) setFile(raw any) error {
	read, err := v.readFile(raw)
	if err == nil {
		*v.at = read
	}
	return err
}

func (v value[T]) shownAs(is T) any {
	if v.show == nil {
		return is
	}
	return v.show(is)
}

func (v value[T]) texts() []*string {
	if v.textsOf == nil {
		return nil
	}
	return v.textsOf(v.at)
}

func (v value[T]) sign() int {
	if v.signOf == nil {
		return 1
	}
	return v.signOf(*v.at)
}

func text(at *string, standard string) fieldValue { return value[string]{at, standard, &textForm} }
func list(at *[]string) fieldValue                { return value[[]string]{at, nil, &listForm} }
func toggle(at *bool) fieldValue                  { return value[bool]{at, false, &toggleForm} }
func number(at *int, standard int) fieldValue     { return value[int]{at, standard, &numberForm} }
func span(at *time.Duration, standard time.Duration) fieldValue {
	return value[time.Duration]{at, standard, &spanForm}
}

var textForm = form[string]{
	makeFlag: func(r *row, standard string) cli.Flag {
		return &cli.StringFlag{Name: r.name, Aliases: r.short, Usage: r.usage(), Value: standard, DefaultText: r.otherwise, Category: r.group.about}
	},
	readFlag: (*cli.Context).String,
	readEnv:  func(text string) string { return text },
	readFile: func(raw any) (string, error) {
		if n, ok := raw.(int64); ok {
			return strconv.FormatInt(n, 10), nil
		}
		s, ok := raw.(string)
		return s, unless(ok, `must be a text in quotes: "…"`)
	},
	textsOf: func(s *string) []*string { return []*string{s} },
}

var listForm = form[[]string]{
	makeFlag: func(r *row, _ []string) cli.Flag {
		return &cli.StringSliceFlag{Name: r.name, Aliases: r.short, Usage: r.usage(), DefaultText: r.otherwise, Category: r.group.about}
	},
	readFlag: (*cli.Context).StringSlice,
	readEnv:  func(text string) []string { return []string{text} },
	readFile: readTexts,
	show:     func(l []string) any { return append([]string{}, l...) }, // [] in JSON, never null
	textsOf: func(l *[]string) (all []*string) {
		for i := range *l {
			all = append(all, &(*l)[i])
		}
		return all
	},
}

var toggleForm = form[bool]{
	makeFlag: func(r *row, _ bool) cli.Flag {
		return &cli.BoolFlag{Name: r.name, Aliases: r.short, Usage: r.usage(), Category: r.group.about}
	},
	readFlag: (*cli.Context).Bool,
	readEnv:  func(text string) bool { b, _ := strconv.ParseBool(text); return b },
	readFile: func(raw any) (bool, error) {
		b, ok := raw.(bool)
		return b, unless(ok, "must be true or false")
	},
}

var numberForm = form[int]{
	makeFlag: func(r *row, standard int) cli.Flag {
		return &cli.IntFlag{Name: r.name, Aliases: r.short, Usage: r.usage(), Value: standard, DefaultText: r.otherwise, Category: r.group.about}
	},
	readFlag: (*cli.Context).Int,
	readEnv:  func(text string) int { n, _ := strconv.ParseInt(text, 0, 0); return int(n) },
	readFile: func(raw any) (int, error) {
		n, ok := raw.(int64)
		return int(n), unless(ok && n >= math.MinInt32 && n <= math.MaxInt32, "must be a whole number")
	},
	signOf: func(n int) int { return cmp.Compare(n, 0) },
}

var spanForm = form[time.Duration]{
	makeFlag: func(r *row, standard time.Duration) cli.Flag {
		f := flags.Duration(r.name, standard, r.otherwise, r.usage())
		f.Aliases, f.Category = r.short, r.group.about
		return f
	},
	readFlag: (*cli.Context).Duration,
	readEnv:  func(text string) time.Duration { d, _ := flags.ParseDuration(text); return d },
	readFile: func(raw any) (time.Duration, error) {
		d, err := flags.ParseDuration(fmt.Sprint(raw))
		return d, unless(err == nil, `must be a number of seconds, or a duration in quotes such as "500ms", "30s" or "5m"`)
	},
	show:   func(d time.Duration) any { return flags.DurationText(d) },
	signOf: func(d time.Duration) int { return cmp.Compare(d, 0) },
}

// unless returns problem as an error unless ok is true.
func unless(ok bool, problem string) error {
	if ok {
		return nil
	}
	return errors.New(problem)
}

// readTexts returns a list of texts. A single text is a list of one.
func readTexts(raw any) ([]string, error) {
	if s, ok := raw.(string); ok {
		return []string{s}, nil
	}
	list, ok := raw.([]any)
	all := make([]string, len(list))
	for i, item := range list {
		var isText bool
		all[i], isText = item.(string)
		ok = ok && isText
	}
	return all, unless(ok, `must be a list of texts: ["…", "…"]`)
}
