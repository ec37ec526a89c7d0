// Package bench measures miniftp beside stock servers and clients, in one run and
// in turn, so that only ratios matter, and how its cost grows. It holds benchmarks
// only:
//
//	make bench
//
// runs them and writes docs/performance.md and the plots beside it.
package bench
