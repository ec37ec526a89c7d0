// Package bench compares miniftp with stock servers and clients, and measures how its
// cost grows with the load. The programs take turns in a single run, so the ratios of
// their figures are meaningful on any machine. The package contains only benchmarks.
// To run them, and to write docs/performance.md and its plots:
//
//	make bench
package bench
