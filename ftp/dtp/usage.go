package dtp

// PortsUsage describes how the ports for passive data connections are used.
type PortsUsage struct {
	Size    int // ports of the range; 0: any free port
	InUse   int // ports leased at the moment, over all local addresses, each of which has the whole range
	Leases  int // data connections they are leased for
	Waiting int // sessions that wait for a port
}

// Usage returns how p is used. A nil *Ports counts nothing.
func (p *Ports) Usage() PortsUsage {
	if p == nil {
		return PortsUsage{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	u := PortsUsage{Size: p.within.Len(), Leases: int(p.leases.Load()), Waiting: len(p.queue)}
	u.InUse = u.Leases
	if !p.within.IsZero() {
		u.InUse = len(p.open) - p.count
	}
	return u
}
