package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/time/rate"

	"miniftp/ftp"
	"miniftp/ftp/dtp"
	"miniftp/ftp/server/internal/guard"
)

// errLoginLate is the cause of a login that was not finished within Options.LoginTimeout.
var errLoginLate = errors.New("no login in time")

// logIn starts a login as a task, because it may have to wait. The wait ends if the client hangs up or the
// server stops. verb is the command to answer, USER or PASS.
func (s *session) logIn(verb, password string) ftp.Reply {
	login := Login{
		User: s.identity.user, Password: password, Host: s.identity.host, Remote: s.control.Remote,
		TLS: s.tlsState(), Certified: verb == "USER", verifier: s.srv.verifier,
	}
	login.regular = s.srv.guard.Regular(guard.Origin(login.Remote.Addr()), login.User)
	late := s.loginBy
	var account *Account
	var files io.Closer
	var leased *leasedSession
	var used *quotas
	var noHome, noMounts error
	j := &task{cmd: ftp.Command{Verb: verb}, login: true, inTurn: true}
	j.work = func(ctx context.Context, _ *task) dtp.Result {
		ctx, cancel := context.WithDeadlineCause(ctx, late, errLoginLate)
		defer cancel()
		err := s.srv.guard.Try(ctx, guard.Origin(login.Remote.Addr()), s.set.loginPolicy(), login.User, func() (err error) {
			account, err = s.srv.authenticate(ctx, login)
			return err
		})
		if err == nil {
			leased, err = s.srv.lease(ctx, account, cmp.Or(account.Name, login.User))
		}
		if err == nil {
			account, files, noHome, err = openFiles(ctx, account)
		}
		if err == nil {
			used, noMounts, err = s.srv.openQuotas(ctx, account, cmp.Or(account.Name, login.User))
		}
		return dtp.Result{Err: err}
	}
	j.finish = func(res dtp.Result) ftp.Reply {
		s.setLogin(nil)
		s.files, s.leased, s.quotas = files, leased, used
		r := s.finishLogin(account, login.User, res.Err)
		if s.account == nil {
			s.closeFiles()
		}
		s.admitData()
		if noHome != nil && s.account != nil {
			s.emitRefused(ftp.Printable(clip(login.User, 64))+": "+noHome.Error(), ftp.ReasonHome)
		}
		if noMounts != nil && s.account != nil {
			s.emitRefused(ftp.Printable(clip(login.User, 64))+": mounts are not available: "+strings.ReplaceAll(noMounts.Error(), "\n", "; "), ftp.ReasonOther)
		}
		if r.Code == 230 && login.Certified {
			return ftp.NewReply(232, "Welcome: your certificate is enough.")
		}
		return r
	}
	r := s.start(j)
	s.setLogin(j)
	return r
}

// authenticate calls the current Authenticator of the Server and not the one of the session's settings: a user
// that was removed by Reload can't log in through a session that began before.
func (s *Server) authenticate(ctx context.Context, login Login) (*Account, error) {
	account, err := s.set.Load().Auth.Authenticate(ctx, login)
	switch {
	case err != nil:
		return nil, err
	case account == nil || account.FS == nil && account.Open == nil:
		return nil, errors.New("the account has no files")
	case checkMounts(account.Mounts) != nil:
		return nil, checkMounts(account.Mounts)
	}
	// Only now, so that a log has this reason only for those who know the password.
	if err := account.Admits(login); err != nil {
		return nil, err
	}
	return account, nil
}

// filesError is returned if the files of an account can't be opened.
type filesError struct{ err error }

func (e *filesError) Error() string { return "the files can't be opened: " + e.err.Error() }
func (e *filesError) Unwrap() error { return e.err }

// openFiles returns a copy of the account for one session, with its files open and its home checked. If the
// home does not exist, the copy's home is "/", and noHome says why.
func openFiles(ctx context.Context, account *Account) (own *Account, files io.Closer, noHome, err error) {
	a := *account
	if a.Open != nil {
		if a.FS, files, err = a.Open(ctx); err != nil {
			return nil, nil, nil, &filesError{err}
		}
	}
	if home := cleanPath(a.Home); home != "/" {
		if err := isDir(a.FS, home); err != nil {
			a.Home, noHome = "/", fmt.Errorf("the session starts in /, because its home %s is missing: %w", ftp.Printable(home), err)
		}
	}
	return &a, files, noHome, nil
}

// closeFiles closes what Account.Open has opened, and gives up the lease of the session.
func (s *session) closeFiles() {
	if s.leased != nil {
		_ = s.leased.Close()
		s.leased = nil
	}
	s.quotas = nil
	if s.files != nil {
		_ = s.files.Close()
		s.files = nil
	}
}

// finishLogin sets up the session after a login, or handles its failure, and returns the reply.
func (s *session) finishLogin(account *Account, user string, err error) ftp.Reply {
	shown := ftp.Printable(clip(user, 64))
	switch {
	case errors.Is(err, errPanicked):
		return ftp.NewReply(421, "Internal error of the server. Goodbye.")
	case errors.Is(err, guard.ErrBanned):
		s.dead = err
		s.emitRefusedLogin(shown, "banned by the administrator", ftp.ReasonOther)
		return ftp.NewReply(421, bannedText)
	case errors.Is(err, guard.ErrShutOut):
		s.dead = err
		if errors.Is(err, guard.ErrNameShutOut) {
			s.emitRefusedLogin(shown, "too many failed logins as that user from this address: it is banned there for a while", ftp.ReasonLoginFailures)
			return ftp.NewReply(421, "Too many failed logins as that user from your address. Try again later.")
		}
		s.emitRefusedLogin(shown, "too many failed logins from this address: it is banned for a while", ftp.ReasonLoginFailures)
		return ftp.NewReply(421, shutOutText)
	case errors.Is(err, errLoginLate):
		return ftp.Replyf(421, "No login within %v. Goodbye.", s.set.LoginTimeout)
	case err != nil && (s.stopping.Load() || s.ctx().Err() != nil || errors.Is(err, errHungUp)):
		return ftp.NewReply(421, s.stopText())
	case err != nil:
		if no, ok := errors.AsType[*refusal](err); ok {
			s.emitRefusedLogin(shown, no.why, no.reason)
			return ftp.NewReply(421, no.text)
		}
		return s.loginFailed(shown, err)
	}
	name := account.Name
	if name == "" {
		name = user
	}
	if no := s.srv.addLogin(s, name, account.MaxSessions); no != nil {
		s.emitRefusedLogin(shown, no.why, no.reason)
		return ftp.NewReply(421, no.text)
	}
	if no := s.recordLogin(user); no != nil {
		s.srv.removeLogin(s)
		s.emitRefusedLogin(shown, no.why, no.reason)
		return ftp.NewReply(421, no.text)
	}
	s.account = account
	s.umask = account.Umask
	s.owner = ownerHash(account.owner(name))
	s.renames, s.interrupted = untried, ""
	s.down, s.up = dtp.NewRate(account.RateDown), dtp.NewRate(account.RateUp)
	s.cwd = cleanPath(account.Home)
	s.failures = 0
	s.emit(ftp.LoggedInAs{User: user})
	return ftp.NewReply(230, "Welcome.")
}

// loginFailed returns the same reply for all reasons for which an Authenticator refuses a login. What the client can't
// change by another password has replies of its own.
func (s *session) loginFailed(user string, err error) ftp.Reply {
	if noFiles := (*filesError)(nil); errors.As(err, &noFiles) { // the user and password were right
		s.emitRefusedLogin(user, err.Error(), ftp.ReasonOther)
		return ftp.NewReply(530, "Your files can't be reached now. Try again later, or ask the administrator of this server.")
	}
	if errors.Is(err, ErrAuthUnavailable) { // not the client's fault, and it must not take this for a wrong password
		s.emitRefusedLogin(user, err.Error(), ftp.ReasonLoginUnchecked)
		return ftp.NewReply(421, "Logins can't be checked now. Try again later.")
	}
	if errors.Is(err, errExpired) {
		s.emitRefusedLogin(user, err.Error(), ftp.ReasonExpired)
	} else if errors.Is(err, ErrLogin) {
		s.emitRefusedLogin(user, err.Error(), ftp.ReasonLogin)
	} else { // log it only: the client must not see the Authenticator's error
		s.emitRefusedLogin(user, "the login could not be checked: "+err.Error(), ftp.ReasonOther)
	}
	s.failures++
	if s.failures >= maxFailures {
		s.dead = errors.New("too many failed logins")
		s.emitRefusedLogin(user, "too many failed logins in one session", ftp.ReasonLogin)
		return ftp.NewReply(421, "Login incorrect, too many times. Goodbye.")
	}
	return ftp.NewReply(530, "Login incorrect.")
}

// logOut undoes a login.
func (s *session) logOut() {
	s.srv.removeLogin(s)
	s.account, s.down, s.up = nil, nil, nil
	s.given = nil
	s.closeFiles()
}

// rates returns the limits for a transfer in that direction.
func (s *session) rates(dir ftp.Direction) []*rate.Limiter {
	if dir == ftp.Store {
		return []*rate.Limiter{s.set.rate, s.up}
	}
	return []*rate.Limiter{s.set.rate, s.down}
}

// loginPolicy returns the policy for failed logins.
func (s *settings) loginPolicy() guard.Policy {
	p := guard.Policy{Delay: s.FailureDelay, Most: s.MaxLoginFailures, Ban: s.BanTime}
	if p.Delay == NoDelay {
		p.Delay = 0
	}
	if p.Most == NoLimit {
		p.Most = 0
	}
	return p
}

// emitRefused reports to the Observer why something was refused, and by which rule.
func (s *session) emitRefused(why string, reason ftp.Reason) {
	s.emit(ftp.Refused{Why: why, Reason: reason})
}

// emitRefusedLogin reports to the Observer why a login was refused. user is printable and short.
func (s *session) emitRefusedLogin(user, why string, reason ftp.Reason) {
	s.emit(ftp.Refused{Why: user + ": " + why, Reason: reason, User: user})
}
