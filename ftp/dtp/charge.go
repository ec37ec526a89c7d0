package dtp

import (
	"context"
	"time"
)

// This file is how a pump keeps to the Job's Rates.

// settle charges the rates for the last bytes of a Job that ended with err. A Job that
// failed does not wait for it, but its bytes count: breaking off must not be cheaper.
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
				return context.DeadlineExceeded // the context will be over by then
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// limit is the most that may move at once.
func (p *pump) limit(n int64) int64 {
	for _, r := range p.job.Rates {
		if r != nil {
			n = min(n, int64(r.Burst()))
		}
	}
	return n
}
