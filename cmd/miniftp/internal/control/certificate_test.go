package control

import (
	"strings"
	"testing"
	"time"
)

// TestCertificateStages: a certificate is warned of 21, 7 and 1 days before its end, and when it has expired. The text
// names it, says how long is left, and what to do.
func TestCertificateStages(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	file := Certificate{Names: []string{"ftp.example.org"}, Source: FromFile, File: "/etc/c.pem", NotBefore: now.Add(-300 * day)}
	for _, tt := range []struct {
		left  time.Duration
		stage int
		says  string
	}{
		{22 * day, 0, ""},
		{21*day + time.Minute, 0, ""},
		{21 * day, 1, "/etc/c.pem: the certificate expires in 21 days, on 2026-12-21 "},
		{8 * day, 1, "expires in 8 days"},
		{7 * day, 2, "expires in 7 days"},
		{36 * time.Hour, 2, "expires in 36 hours"},
		{day, 3, "expires in 24 hours"},
		{90 * time.Minute, 3, "expires in 90 minutes"},
		{time.Minute, 3, "expires in 1 minute,"},
		{0, 4, "/etc/c.pem: the certificate expired on 2026-11-30 "},
		{-day, 4, "clients will refuse it; replace it; the server reads the new file by itself"},
	} {
		c := file
		c.NotAfter = now.Add(tt.left)
		if got := c.Stage(now); got != tt.stage {
			t.Errorf("%v: stage %d, want %d", tt.left, got, tt.stage)
		}
		if got := c.Problem(now); (got == "") != (tt.says == "") || !strings.Contains(got, tt.says) {
			t.Errorf("%v: %q, want %q", tt.left, got, tt.says)
		}
	}
}

// TestCertificateRemedies: what to do depends on where a certificate comes from. Those from an authority are no problem
// before they should have been renewed.
func TestCertificateRemedies(t *testing.T) {
	now := time.Now()
	acme := func(lifetime, left time.Duration, problem string) Certificate {
		return Certificate{Names: []string{"ftp.example.org"}, Source: FromACME, NotBefore: now.Add(left - lifetime), NotAfter: now.Add(left), Error: problem}
	}
	for _, tt := range []struct {
		c    Certificate
		says string
	}{
		{Certificate{Names: []string{"h"}, Source: SelfSigned, File: "/s.pem", NotAfter: now.Add(day)}, "remove the file and restart the server"},
		{acme(90*day, 20*day, "no route"), "ftp.example.org: the certificate expires in 2"},
		{acme(90*day, 20*day, "no route"), "it could not be renewed: no route"},
		{acme(90*day, 20*day, ""), "it is being renewed"},
		{acme(47*day, 20*day, ""), ""},
		{acme(47*day, 6*day, ""), "it is being renewed"},
		{acme(6*day, 6*day, ""), ""},
		{acme(6*day, 2*day, ""), ""},
		{acme(6*day, day, "x"), "renewed: x"},
		{acme(6*day, -day, "x"), "expired on"},
		{Certificate{Names: []string{"h"}, Source: FromACME}, "h: there is no certificate yet"},
		{Certificate{Names: []string{"h"}, Source: FromACME, Error: "refused"}, "h: there is no certificate: refused"},
	} {
		if got := tt.c.Problem(now); (got == "") != (tt.says == "") || !strings.Contains(got, tt.says) {
			t.Errorf("%+v: %q, want %q", tt.c, got, tt.says)
		}
	}
	if c := acme(90*day, 60*day+time.Hour, ""); !strings.Contains(c.Describe(now), "ftp.example.org: the certificate is valid for another 60 days, until ") {
		t.Error(c.Describe(now))
	}
}
