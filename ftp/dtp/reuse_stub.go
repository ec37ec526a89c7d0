package dtp

// Reuse says what becomes of TLS sessions (RFC 4217 §10.2).
type Reuse uint8

// The choices for data connections.
const (
	ReusePrefer  Reuse = iota // they may resume the control connection's session
	ReuseRequire              // they must: it proves that both ends are the same
	ReuseOff                  // nothing is ever resumed
)
