package connect

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"miniftp/cmd/miniftp/internal/explain"
	"miniftp/cmd/miniftp/internal/verb"
	"miniftp/cmd/miniftp/internal/verb/flags"
	"miniftp/ftp"
	"miniftp/ftp/client"
)

// MaxParallel is the maximum of --parallel, treeParallel its default for trees of files.
const (
	MaxParallel  = 100
	treeParallel = 4
)

// Parallel returns how many connections a verb may have at once. The default is higher for verbs that
// transfer trees of files.
func Parallel(c *cli.Context) int {
	if c.IsSet("parallel") || c.Command.Name != "mirror" && !(c.Bool("recursive") && (c.Command.Name == "get" || c.Command.Name == "put")) {
		return c.Int("parallel")
	}
	return max(c.Int("parallel"), treeParallel)
}

// Flags returns the flags of a client verb: its own, and those of all client verbs, by sections of the help.
func Flags(own ...cli.Flag) []cli.Flag {
	return slices.Concat(own,
		flags.Categorize("Login",
			&cli.StringFlag{Name: "user", Usage: "log in as user `NAME`", DefaultText: "the one in the URL, else anonymous"},
			&cli.StringFlag{Name: "password-file", Usage: "read the password from the first line of `FILE`", DefaultText: "none"},
			&cli.BoolFlag{Name: "netrc", Usage: "use the login in ~/.netrc instead of the one in the URL"},
			&cli.StringFlag{Name: "account", Usage: "send `ACCOUNT` to servers that ask for an account (ACCT)", DefaultText: "none"},
		),
		flags.Categorize("TLS",
			&cli.GenericFlag{Name: "tls", Value: new(tlsWord), Usage: "use TLS for an ftp:// URL (AUTH TLS), as ftpes:// does; if the server refuses it, no password is sent", DefaultText: "false"},
			&cli.StringFlag{Name: "ca-cert", Usage: "trust the certificate authorities in `FILE` (PEM) and no others", DefaultText: "those of the system"},
			&cli.StringFlag{Name: "pin", Usage: "trust only the certificate with the `FINGERPRINT` sha256:…", DefaultText: "none"},
			&cli.BoolFlag{Name: "insecure", Usage: "with TLS, trust any certificate; others on the network path can then read everything"},
			&cli.StringFlag{Name: "cert", Usage: "present the client certificate in `FILE` (PEM)", DefaultText: "none"},
			&cli.StringFlag{Name: "key", Usage: "read the private key of --cert from `FILE` (PEM)", DefaultText: "the file of --cert"},
		),
		flags.Categorize("Connection",
			&cli.GenericFlag{Name: "active", Value: new(dataWord), Usage: "active mode: the client listens and the server connects to it; `extended|classic` uses only EPRT or only PORT", DefaultText: "false"},
			&cli.GenericFlag{Name: "passive", Value: new(dataWord), Usage: "passive mode: the server listens and the client connects to it; `extended|classic` uses only EPSV or only PASV", DefaultText: "true, unless --active is given"},
			&cli.StringFlag{Name: "active-ports", Usage: "in active mode, listen on ports `LO-HI`", DefaultText: "any free port"},
			&cli.StringFlag{Name: "active-ip", Usage: "in active mode, announce the address `IP`", DefaultText: "that of the control connection"},
			&cli.StringFlag{Name: "proxy", Usage: "connect through the proxy at `URL`: socks5://host:port or http://host:port; none means no proxy", DefaultText: "the one in ALL_PROXY"},
			flags.Duration("timeout", client.DefaultTimeout, "", "give up if nothing happens for `DURATION`, such as 500ms, 2m or plain seconds"),
			&cli.IntFlag{Name: "retries", Value: 2, Usage: "after a broken connection, try up to `N` more times, with growing pauses; each try resumes where the last one stopped"},
			flags.Duration("keep-alive", 0, "never", "send NOOP every `DURATION` during a transfer, for firewalls that close idle control connections"),
			&cli.StringFlag{Name: "charset", Usage: "the server's file names are encoded in `SET`, such as latin1, shift_jis or gbk", DefaultText: "UTF-8"},
		),
		flags.Categorize("Transfer",
			&cli.IntFlag{Name: "parallel", Aliases: []string{"j"}, Value: 1, Usage: "use `N` connections at once, or fewer if the server allows fewer", DefaultText: "4 for mirror, get -r and put -r, else 1"},
			&cli.StringFlag{Name: "rate", Usage: "transfer at most `BYTES` per second, such as 500k, 2M or 2MiB", DefaultText: "no limit"},
			&cli.BoolFlag{Name: "ascii", Usage: "transfer text, converting line ends (TYPE A)"},
			&cli.StringFlag{Name: "mode", Value: "auto", Usage: "use transfer mode `MODE`: stream, block (MODE B: one data connection for several files), deflate (MODE Z: compressed, for slow lines) or auto (stream, but block for a mirror of many small files if the server supports it)"},
			&cli.IntFlag{Name: "level", Usage: "with --mode deflate: compress at level `N`, from 1 (fast) to 9 (small)", DefaultText: "6"},
		),
		flags.Categorize("Output",
			explain.Flag(),
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "show commands and replies, passwords masked"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print only errors"},
			&cli.BoolFlag{Name: "json", Usage: "print the result as JSON"},
			&cli.BoolFlag{Name: "no-progress", Usage: "draw no progress bars"},
			&cli.StringFlag{Name: "record", Usage: "write the commands and replies to `FILE`, for a bug report; passwords are masked", DefaultText: "none"},
		),
	)
}

// ResumeFlag returns the flag --resume of get and put.
func ResumeFlag() cli.Flag {
	return &cli.BoolFlag{Name: "resume", Aliases: []string{"c"}, Usage: "resume where an earlier run stopped, if the file has not changed"}
}

// Options returns the connection options that the flags set.
func Options(c *cli.Context) (client.Options, error) {
	o := client.Options{Timeout: c.Duration("timeout")}
	if o.Timeout <= 0 {
		return o, verb.Usagef("--timeout %v: must be greater than 0", o.Timeout)
	}
	if c.Int("retries") < 0 {
		return o, verb.Usagef("--retries %d: must not be negative", c.Int("retries"))
	}
	if o.KeepAlive = c.Duration("keep-alive"); o.KeepAlive != 0 && o.KeepAlive < time.Second {
		return o, verb.Usagef("--keep-alive %v: must be at least one second", o.KeepAlive)
	}
	o.Account = c.String("account")
	if n := c.Int("parallel"); n < 1 || n > MaxParallel {
		return o, verb.Usagef("--parallel %d: must be a number from 1 to %d", n, MaxParallel)
	}
	var err error
	if o.Charset, err = findCharset(c.String("charset")); err != nil {
		return o, err
	}
	if o.Mode, o.Verbs, err = dataMode(c); err != nil {
		return o, err
	}
	if o.TransferMode, o.Level, err = transferMode(c); err != nil {
		return o, err
	}
	if o.ActivePorts, err = flags.PortRange("--active-ports", c.String("active-ports")); err != nil {
		return o, err
	}
	if s := c.String("active-ip"); s != "" {
		if o.ActiveIP, err = netip.ParseAddr(s); err != nil {
			return o, verb.Usagef("--active-ip %q is not an IP address", s)
		}
	}
	if (flags.Asked(c, "active-ports") || flags.Asked(c, "active-ip")) && o.Mode != ftp.Active {
		return o, verb.Usagef("--active-ports and --active-ip need --active")
	}
	o.Rate, err = flags.ByteRate("--rate", c.String("rate"))
	return o, err
}

// transferModes holds the values of --mode.
var transferModes = map[string]client.TransferMode{
	"auto": client.AutoMode, "stream": client.StreamMode, "block": client.BlockMode, "deflate": client.DeflateMode,
}

func transferMode(c *cli.Context) (client.TransferMode, int, error) {
	mode, known := transferModes[c.String("mode")]
	level := c.Int("level")
	switch {
	case !known:
		return 0, 0, verb.Usagef("--mode %q: %s", c.String("mode"), flags.OneOf("mode", c.String("mode")))
	case flags.Asked(c, "level") && mode != client.DeflateMode:
		return 0, 0, verb.Usagef("--level needs --mode deflate")
	case flags.Asked(c, "level") && (level < 1 || level > 9):
		return 0, 0, verb.Usagef("--level %d: must be a number from 1 to 9", level)
	}
	return mode, level, nil
}

// dataWord is the value of --active and --passive: false, true, or extended or classic for the commands that
// announce the addresses of data connections. A flag without a value is true.
type dataWord string

func (w *dataWord) String() string   { return cmp.Or(string(*w), "false") }
func (w *dataWord) IsBoolFlag() bool { return true }
func (w *dataWord) Takes() string    { return "true, false, extended or classic" }

func (w *dataWord) Set(s string) error {
	b, err := strconv.ParseBool(s)
	switch s = strings.ToLower(s); {
	case err == nil:
		*w = dataWord(strconv.FormatBool(b))
	case s == "extended", s == "classic":
		*w = dataWord(s)
	default:
		return errors.New("must be true, false, extended or classic")
	}
	return nil
}

// dataMode returns the data mode, and which commands negotiate it. If both --active and --passive are set, a
// flag overrides an environment variable.
func dataMode(c *cli.Context) (ftp.DataMode, client.Verbs, error) {
	active, passive := flags.IsOn(c, "active"), flags.IsOn(c, "passive")
	if active && passive {
		active, passive = !flags.FromEnv(c, "active"), !flags.FromEnv(c, "passive")
		if active == passive {
			return ftp.Passive, 0, verb.Usagef("--active and --passive can't be used together")
		}
	}
	mode, name := ftp.Passive, "passive"
	if active {
		mode, name = ftp.Active, "active"
	}
	switch c.String(name) {
	case "extended":
		return mode, client.ExtendedVerbs, nil
	case "classic":
		return mode, client.ClassicVerbs, nil
	}
	return mode, client.AnyVerbs, nil
}
