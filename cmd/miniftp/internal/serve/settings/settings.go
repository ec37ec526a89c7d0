package settings

import "time"

// Settings holds the settings of serve, except its users. The fields are in the order of the
// configuration file; table describes each of them.
type Settings struct {
	Root           string
	Listen         []string
	ListenTLS      []string
	Anonymous      string
	UsersFile      string
	Greeting       string
	Host           []string
	PassivePorts   string
	PublicIP       string
	PublicIPAlways bool
	PublicIPFor    []string // NETWORK=ADDRESS
	ProxyProtocol  []string // networks
	FXP            []string // names of users
	DataAnyHost    bool
	DataLowPorts   bool
	ModeZ          bool
	UploadInPlace  bool
	AcceptUpload   []string
	Compat         string
	Sync           string
	SharedState    string // s3://BUCKET/PREFIX
	Control        string // the path of a socket, or "off"
	RunAs          string // USER[:GROUP]
	Grace          time.Duration
	DrainDelay     time.Duration

	// [limits]; 0 means no limit where that is possible.

	MaxSessions      int
	MaxSessionsPerIP int
	MaxWaiting       int
	Allow            []string
	Deny             []string
	Rate             string // bytes per second, such as 500k
	MaxHashes        int
	HashTimeout      time.Duration
	HashRate         string
	CommandRate      int
	IdleTimeout      time.Duration
	LoginTimeout     time.Duration
	DataTimeout      time.Duration
	StallTimeout     time.Duration
	MaxLoginFailures int
	BanTime          time.Duration
	FailureDelay     time.Duration

	// [auth]

	Auth           []string // sources; nil is the same as file
	AuthTimeout    time.Duration
	AuthCache      time.Duration
	AuthSecretFile string

	// [gate]

	Gate           []string // checkers
	GateTimeout    time.Duration
	GateParallel   int
	GateQuarantine string // a directory
	GateSize       string // bytes, such as 1G
	GateSecretFile string

	// [tls]

	TLS             string // the mode; never "" after New
	TLSCert         []string
	TLSKey          []string
	TLSSelfSigned   bool
	TLSACME         []string // hosts
	TLSACMEEmail    string
	TLSACMEDir      string // URL
	TLSACMECA       string
	TLSACMEHTTP     string // an address, or "off"
	TLSACMEALPN     string // an address, or "off"
	TLSSessionReuse string
	TLSClientCA     string
	TLSClientUser   bool
	TLSFXPCA        string
	TLSLegacy       bool
	TLSOldFor       []string // networks
	TLSCCC          bool

	// [log]

	LogLevel  string
	LogFormat string
	LogFile   string
	Xferlog   string
	LogSHA256 bool
	Verbose   bool
	Explain   bool
	Quiet     bool

	// [watch]

	Metrics          string // the address of an HTTP server
	Console          string // the same
	ConsoleTokenFile string

	// [hooks]

	Hook           []string // exec:PATH or a URL
	HookEvents     []string // kinds of events
	HookSecretFile string
	HookOutbox     string // a directory
	HookOutboxSize string // bytes, such as 100M
}

// defaultListen is the address to listen on if none is given.
const defaultListen = "127.0.0.1:2121"
