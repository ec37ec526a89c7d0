package s3fs

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Location says which part of which bucket a [Fs] serves, and how it is reached.
type Location struct {
	Bucket string
	Prefix string // without slashes at its ends; empty for the whole bucket

	Endpoint *url.URL // scheme and host
	Region   string   // empty if the store has to be asked
	Memory   int64    // the size of the pool for uploads
	Exact    bool     // times=exact
	Filer    *url.URL // the filer of a SeaweedFS, or nil
	Path     string   // path style: "yes", "no" or "auto"
}

const (
	defaultEndpoint = "https://s3.amazonaws.com"
	defaultMemory   = 1 << 30
	leastMemory     = 16 << 20
)

// knownKeys are the settings in the query of a URL.
const knownKeys = "endpoint, region, memory, times, filer, path"

// Parse parses a URL of the form
//
//	s3://BUCKET/PREFIX?endpoint=URL&region=REGION&memory=512M&times=exact&filer=URL&path=yes
//
// in which everything after the bucket is optional:
//
//   - endpoint is the URL of the store. The default is AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL of the environment,
//     or else Amazon S3.
//   - region is the region of the bucket. The default is AWS_REGION, or else what the store says.
//   - memory limits the memory of all uploads together. The default is 1G. A part of an upload is never larger,
//     so with the default a file can have 3.9 TiB, and with 2G the 5 TiB that S3 allows.
//   - times=exact makes listings show the times that clients have set, by one more request for each file. The
//     default, times=stored, shows when the files were stored. Stat always shows the exact time.
//   - filer is the URL of a SeaweedFS filer, which then renames directories.
//   - path=yes puts the bucket into the path of requests, path=no into the host name. The default, auto, is no
//     with Amazon and Google, and yes with others.
//
// Errors do not quote the URL, because it may contain a password by mistake.
func Parse(rawURL string) (*Location, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, errors.New("not a valid URL; want s3://BUCKET/PREFIX?endpoint=URL")
	}
	if u.Scheme != "s3" || u.Opaque != "" || u.Fragment != "" {
		return nil, errors.New("want a URL such as s3://BUCKET/PREFIX?endpoint=URL")
	}
	if u.User != nil {
		return nil, errors.New("keys don't belong into the URL: put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into ~/.aws/credentials")
	}
	if u.Host == "" || strings.Contains(u.Host, ":") {
		return nil, errors.New("the URL names no bucket; want s3://BUCKET/PREFIX")
	}
	l := &Location{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	if l.Prefix != "" {
		for part := range strings.SplitSeq(l.Prefix, "/") {
			if err := checkName(part); err != nil {
				return nil, fmt.Errorf("the prefix %q can't be a directory: %w", l.Prefix, err)
			}
		}
		if len(l.Prefix) > maxKey/2 {
			return nil, errors.New("the prefix is too long")
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the query of the URL is malformed")
	}
	if err := l.query(query); err != nil {
		return nil, err
	}
	return l, nil
}

// query sets what is in the query of the URL, and the defaults.
func (l *Location) query(query url.Values) error {
	l.Memory, l.Path = defaultMemory, "auto"
	l.Region = cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	endpoint := cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"), defaultEndpoint)
	for key, values := range query {
		if len(values) != 1 {
			return fmt.Errorf("duplicate setting %s", key)
		}
		value, err := values[0], error(nil)
		switch key {
		case "endpoint":
			endpoint = value
		case "region":
			l.Region = value
		case "memory":
			l.Memory, err = parseSize(value)
		case "times":
			l.Exact = value == "exact"
			err = oneOf(key, value, "exact", "stored")
		case "filer":
			l.Filer, err = parseServer(key, value)
		case "path":
			l.Path = value
			err = oneOf(key, value, "yes", "no", "auto")
		default:
			err = fmt.Errorf("unknown setting %q; known are %s", key, knownKeys)
		}
		if err != nil {
			return err
		}
	}
	var err error
	l.Endpoint, err = parseServer("endpoint", endpoint)
	if err == nil && l.Endpoint.Path != "" {
		err = errors.New("endpoint: want only scheme and host, such as https://s3.example.com")
	}
	return err
}

func oneOf(key, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s: want %s", key, strings.Join(allowed, " or "))
}

// parseServer parses the URL of a server. The result has no slash at its end.
func parseServer(key, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%s: want a URL such as https://s3.example.com", key)
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s: the URL must not contain a user or password", key)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// parseSize parses a number of bytes with an optional unit, such as 512M.
func parseSize(s string) (int64, error) {
	digits, unit := strings.TrimSuffix(strings.ToUpper(s), "B"), int64(1)
	if i := len(digits) - 1; i > 0 {
		if shift, ok := map[byte]int{'K': 10, 'M': 20, 'G': 30, 'T': 40}[digits[i]]; ok {
			digits, unit = digits[:i], 1<<shift
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n*unit < leastMemory || n*unit > 1<<44 {
		return 0, errors.New("memory: want a size of at least 16M, such as 512M or 2G")
	}
	return n * unit, nil
}

// String returns the URL without its settings.
func (l *Location) String() string {
	u := url.URL{Scheme: "s3", Host: l.Bucket, Path: "/" + l.Prefix}
	return u.String()
}
