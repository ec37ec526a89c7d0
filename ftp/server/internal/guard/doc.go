// Package guard keeps a server usable for all while some ask for too much: it slows down those who
// guess passwords (Logins), and hands out work that costs a processor in turns (Queue). Whom it
// takes for one is said by Origin and Site.
package guard
