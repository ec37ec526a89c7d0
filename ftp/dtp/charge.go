package dtp

import (
	"context"
	"time"
)

// This file charges the bytes of a pump to the Job's Rates.

// settle charges the last bytes of a Job that ended with err. A failed Job does not wait, but its bytes
// count: otherwise breaking off transfers would avoid the limit.
func (p *pump) settle(err error) error {
	owes := p.owes
	p.owes = 0
	if err == nil {
		return p.pay(owes)
	}
	now := time.Now()
	for _, r := range p.job.Rates {
		if r == nil {
			continue
		}
		for left := owes; left > 0; left -= int64(r.Burst()) {
			r.ReserveN(now, int(min(left, int64(r.Burst()))))
		}
	}
	return err
}

// pay waits until every rate has room for n more bytes.
func (p *pump) pay(n int64) error {
	for _, r := range p.job.Rates {
		if r == nil {
			continue
		}
		for left := n; left > 0; left -= int64(r.Burst()) {
			err := r.WaitN(p.ctx, int(min(left, int64(r.Burst()))))
			if err != nil && p.ctx.Err() == nil {
				return context.DeadlineExceeded // the context ends before there is room
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// limit returns the largest number of bytes, up to n, that may move at once.
func (p *pump) limit(n int64) int64 {
	for _, r := range p.job.Rates {
		if r != nil {
			n = min(n, int64(r.Burst()))
		}
	}
	return n
}
