package pi

import (
	"context"
	"fmt"

	"miniftp/ftp"
)

// User holds what Login logs in with.
type User struct {
	Name     string // "": anonymous
	Password string // for anonymous "" means anonymous@
	Account  string // sent only if the server asks for it (RFC 959 §4.1.1)
}

// withDefaults returns u with the defaults of anonymous logins.
func (u User) withDefaults() User {
	if u.Name == "" {
		u.Name = "anonymous"
	}
	if u.Password == "" && (u.Name == "anonymous" || u.Name == "ftp") {
		u.Password = "anonymous@"
	}
	return u
}

// Check returns an error if a field contains a line break or NUL. It does not quote passwords.
func (u User) Check() error {
	if err := Sendable(u.Name); err != nil {
		return err
	}
	if Sendable(u.Password, u.Account) != nil {
		return fmt.Errorf("the password: %w", ftp.ErrLineBreak)
	}
	return nil
}

// Login logs in: it sends USER, and PASS and ACCT if the server asks for them (RFC 959 §5.4). The greeting must
// have been read. A refusal is an *ftp.Error whose Verb is that of the refused command.
func (c *Conn) Login(ctx context.Context, u User) error {
	u = u.withDefaults()
	if err := u.Check(); err != nil {
		return err
	}
	c.account = u.Account
	steps := []ftp.Command{{Verb: "USER", Arg: u.Name}, {Verb: "PASS", Arg: u.Password}, {Verb: "ACCT", Arg: u.Account}}
	for next := 0; ; {
		step := steps[next]
		r, err := c.Do(ctx, step.Verb, step.Arg)
		if err != nil {
			return err
		}
		switch {
		case r.Code.Class() == ftp.Completion:
			c.Tell(ftp.LoggedInAs{User: u.Name})
			return nil
		case r.Code == 331 && next == 0:
			next = 1
		case r.Code == 332 && next < 2 && u.Account != "":
			next = 2
		default:
			return &ftp.Error{Verb: step.Verb, Reply: r}
		}
	}
}
