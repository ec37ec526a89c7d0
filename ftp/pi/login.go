package pi

import (
	"context"
	"fmt"

	"miniftp/ftp"
)

// User is whom Login logs in.
type User struct {
	Name     string // "": anonymous
	Password string // "" of anonymous: anonymous@
	Account  string // sent only if the server asks for it (RFC 959 §4.1.1)
}

// withDefaults fills in what anonymous logins need.
func (u User) withDefaults() User {
	if u.Name == "" {
		u.Name = "anonymous"
	}
	if u.Password == "" && (u.Name == "anonymous" || u.Name == "ftp") {
		u.Password = "anonymous@"
	}
	return u
}

// Check refuses what no command can carry. A password is never quoted.
func (u User) Check() error {
	if err := Sendable(u.Name); err != nil {
		return err
	}
	if Sendable(u.Password, u.Account) != nil {
		return fmt.Errorf("the password: %w", ftp.ErrLineBreak)
	}
	return nil
}

// Login is the access sequence behind the greeting: USER, PASS and ACCT, each only if asked
// for (RFC 959 §5.4). A refusal is an *ftp.Error whose Verb is that of the command.
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
