package ftp

// Reason is the rule by which a server refused a connection, a login, a command or a data
// connection. It shows which setting of the server would have to change.
type Reason int

// The reasons of Refused. ReasonOther covers what has no reason of its own, such as a missing file.
const (
	ReasonOther              Reason = iota
	ReasonDenied                    // the client's address is in a denied network
	ReasonNotAllowed                // the client's address is in no allowed network
	ReasonBanned                    // the client's address is banned after failed logins
	ReasonSessions                  // too many sessions
	ReasonSessionsPerAddress        // too many sessions from one address
	ReasonWaiting                   // too many sessions that are not logged in
	ReasonLoginFailures             // too many failed logins, as that user or from that address
	ReasonSessionsPerUser           // too many sessions of one user
	ReasonHome                      // the user's home directory is missing
	ReasonClientCertificate         // TLS without a certificate that the server accepts
	ReasonLoginTimeout              // no login in time
	ReasonIdleTimeout               // no command for too long
	ReasonCommandRate               // commands arrive too fast
	ReasonPermission                // the account lacks the permission
	ReasonFXP                       // the account may not copy from server to server
	ReasonTLSRequired               // the command, or PROT C, needs TLS
	ReasonCCC                       // CCC, which would end TLS on the control connection
	ReasonHashTimeout               // a hash took too long
	ReasonPassivePorts              // all passive ports are in use
	ReasonLogin                     // a wrong user name, password or certificate
	ReasonGate                      // the check of an upload refused it
	ReasonUnchecked                 // an upload could not be checked, so it is not visible
	ReasonExpired                   // the account has expired
	ReasonLoginUnchecked            // a login could not be checked

	// The following reasons do not occur in Refused. They are for Observers that classify
	// DataFailed and StrangerRefused.

	ReasonForeignHost // a data connection with a host other than the client
	ReasonLowPort     // a data connection to a port below 1024
	ReasonNotResumed  // a data connection that does not resume the TLS session
)

var reasons = [...]string{
	ReasonOther:              "other",
	ReasonDenied:             "address denied",
	ReasonNotAllowed:         "address not allowed",
	ReasonBanned:             "address banned",
	ReasonSessions:           "too many sessions",
	ReasonSessionsPerAddress: "too many sessions from the address",
	ReasonWaiting:            "too many sessions not logged in",
	ReasonLoginFailures:      "too many failed logins",
	ReasonSessionsPerUser:    "too many sessions of the user",
	ReasonHome:               "home directory missing",
	ReasonClientCertificate:  "client certificate not accepted",
	ReasonLoginTimeout:       "login timeout",
	ReasonIdleTimeout:        "idle timeout",
	ReasonCommandRate:        "commands too fast",
	ReasonPermission:         "no permission",
	ReasonFXP:                "no copies from server to server",
	ReasonTLSRequired:        "TLS required",
	ReasonCCC:                "TLS stays on the control connection",
	ReasonHashTimeout:        "hash timeout",
	ReasonPassivePorts:       "no passive port free",
	ReasonLogin:              "login incorrect",
	ReasonGate:               "upload refused by the check",
	ReasonUnchecked:          "upload could not be checked",
	ReasonExpired:            "account expired",
	ReasonLoginUnchecked:     "login could not be checked",
	ReasonForeignHost:        "data connection with another host",
	ReasonLowPort:            "data connection to a low port",
	ReasonNotResumed:         "TLS session not resumed",
}

// String returns the reason in a few words.
func (r Reason) String() string {
	if r < 0 || int(r) >= len(reasons) {
		return reasons[ReasonOther]
	}
	return reasons[r]
}
