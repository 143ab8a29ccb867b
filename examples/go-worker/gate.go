package main

import "time"

// elapsed is the largest that any clock of this machine says (P2). A time.Time holds a monotonic reading beside the wall
// clock's, and Sub uses the monotonic one alone, which stands still while a Linux machine is suspended; Round(0) strips it.
func elapsed(since, now time.Time) time.Duration {
	monotonic, wall := now.Sub(since), now.Round(0).Sub(since.Round(0))
	if wall > monotonic {
		return wall
	}
	return monotonic
}

// gate is open for La after the SENDING of the newest acknowledged heartbeat (P2). Counting from the arrival of the
// acknowledgement would leave it open too long by as much as that was on its way.
type gate struct {
	since         time.Time
	length        time.Duration
	closedForGood bool
}

func (g *gate) renew(sent time.Time) {
	if sent.After(g.since) {
		g.since = sent
	}
}

// open tells whether work may be asked for and started now (P3).
func (g *gate) open(now time.Time) bool {
	return !g.closedForGood && !g.since.IsZero() && elapsed(g.since, now) < g.length
}

// safeGate keeps P2's bound, whatever the Welcome allows: clock rates 1 % apart, and a pause d between look and start.
func safeGate(lease, told time.Duration) time.Duration {
	pause := lease / 15
	if pause > time.Second {
		pause = time.Second
	}
	most := time.Duration(0.99 * (float64(lease)/1.01 - float64(pause)))
	if told < most {
		return told
	}
	return most
}
