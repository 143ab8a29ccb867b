package main

import (
	"log"
	"time"

	pb "holdfast/v1"
)

const (
	asked    = pb.InventoryPhase_INVENTORY_PHASE_ASKED
	running  = pb.InventoryPhase_INVENTORY_PHASE_RUNNING
	stopping = pb.InventoryPhase_INVENTORY_PHASE_STOPPING
	finished = pb.InventoryPhase_INVENTORY_PHASE_FINISHED
	void     = pb.InventoryPhase_INVENTORY_PHASE_VOID
)

// held is one token that this worker answers for.
type held struct {
	taskID string
	phase  pb.InventoryPhase
	run    *run       // while it runs
	report *pb.Report // once it has ended
}

// session is everything that this process holds. The second part belongs to one stream, and goes with it.
type session struct {
	agentID, instanceID string
	queues              []string
	slots               int
	gate                gate
	epoch               uint64
	interval, lease     time.Duration
	highestToken        uint64
	held                map[uint64]*held
	asked               map[uint64]string // nonce to task
	never               map[uint64]bool   // tokens that were declared never started (P13)
	nonce               uint64
	draining            bool
	directive           *pb.Directive
	ended               chan *run

	streamNo      uint64
	seq, applied  uint64
	sent          map[uint64]time.Time
	mirror        mirror
	offers        []*pb.Offer
	changed       map[uint64]bool
	told          map[uint64]bool // reports and nonces that were said since the last tick
	fullInventory bool
	output        []*pb.LogChunk // to be sent before the reports of their tokens
	parts         []*pb.HeartbeatAck
}

func (s *session) entries() (entries []*pb.InventoryEntry) {
	for nonce, task := range s.asked {
		entries = append(entries, &pb.InventoryEntry{Phase: asked, Nonce: nonce, TaskId: task})
	}
	for token, h := range s.held {
		entries = append(entries, &pb.InventoryEntry{Phase: h.phase, Token: token, TaskId: h.taskID})
	}
	return entries
}

func (s *session) replaceMirror() {
	s.mirror = mirror{}
	for _, e := range s.entries() {
		s.mirror[key{e.Token, e.Nonce}] = e.Phase
	}
}

// hello begins a stream. The gate will count from here, before it is sent (P2).
func (s *session) hello(now time.Time) *pb.ConnectRequest {
	s.streamNo++
	s.seq, s.applied, s.sent = 1, 0, map[uint64]time.Time{1: now}
	s.offers, s.parts, s.changed, s.told, s.fullInventory = nil, nil, map[uint64]bool{}, map[uint64]bool{}, false
	hello := &pb.Hello{
		AgentId: s.agentID, InstanceId: s.instanceID, StreamNo: s.streamNo, Kind: pb.AgentKind_AGENT_KIND_WORKER,
		Queues: s.queues, Slots: uint32(s.slots), Software: "holdfast-go-worker/0.1.0", ProtocolVersion: 1,
		HighestToken: s.highestToken, HighestEpoch: s.epoch, Inventory: s.entries(),
	}
	for _, h := range s.held {
		if h.report != nil {
			hello.Reports = append(hello.Reports, h.report)
		}
	}
	s.replaceMirror()
	return &pb.ConnectRequest{Message: &pb.ConnectRequest_Hello{Hello: hello}}
}

func (s *session) welcome(w *pb.Welcome) {
	s.applied, s.epoch = 1, w.Epoch
	s.interval, s.lease = w.HeartbeatInterval.AsDuration(), w.Lease.AsDuration()
	s.gate.length = safeGate(s.lease, w.Gate.AsDuration())
	s.gate.renew(s.sent[1])
	for _, v := range w.Verdicts {
		switch {
		case v.Token == 0:
			if v.Kind != pb.VerdictKind_VERDICT_KIND_KEEP { // unspecified: never start
				delete(s.asked, v.Nonce)
				delete(s.mirror, key{nonce: v.Nonce})
			}
		case v.Kind == pb.VerdictKind_VERDICT_KIND_STOP:
			s.mirror.put(v.Token, stopping)
			s.stop(v.Token, reason(v.Reason))
		case v.Kind == pb.VerdictKind_VERDICT_KIND_RECORDED, v.Kind == pb.VerdictKind_VERDICT_KIND_NEVER_START:
			s.acknowledge(v.Token)
			s.stop(v.Token, "superseded") // what runs is never merely forgotten
		}
	}
	for _, a := range w.Acknowledgements {
		s.acknowledge(a.Token)
	}
	if w.Directive != nil {
		s.directive = w.Directive
	}
}

func reason(r pb.StopReason) string {
	switch r {
	case pb.StopReason_STOP_REASON_CANCELLED:
		return "cancelled"
	case pb.StopReason_STOP_REASON_TIMEOUT:
		return "timeout"
	}
	return "superseded"
}

// acknowledged applies a HeartbeatAck, its parts in the order of their field numbers.
func (s *session) acknowledged(part *pb.HeartbeatAck, now time.Time) {
	s.parts = append(s.parts, part)
	if part.More {
		return
	}
	parts := s.parts
	s.parts = nil
	for _, ack := range parts {
		if sent, waiting := s.sent[ack.Received]; waiting {
			s.gate.renew(sent) // from its SENDING
			for seq := range s.sent {
				if seq <= ack.Received {
					delete(s.sent, seq)
				}
			}
		}
	}
	for _, ack := range parts {
		for _, stop := range append(ack.Stops, ack.Cancellations...) {
			s.stop(stop.Token, reason(stop.Reason))
		}
	}
	for _, ack := range parts {
		for _, a := range ack.Acknowledgements {
			s.acknowledge(a.Token)
		}
	}
	for _, ack := range parts {
		for _, permit := range ack.Permits {
			s.permitted(permit, now)
		}
	}
	for _, ack := range parts {
		for _, refusal := range ack.Refusals {
			delete(s.asked, refusal.Nonce)
			delete(s.mirror, key{nonce: refusal.Nonce})
		}
		for _, token := range ack.VoidTokens {
			s.voided(token)
		}
		s.offers = append(s.offers, ack.Offers...)
		for _, task := range ack.Withdrawals {
			s.withdraw(task)
		}
		if ack.Directive != nil {
			s.directive = ack.Directive
		}
		s.fullInventory = s.fullInventory || ack.SendFullInventory
	}
	s.applied = part.Number
}

func (s *session) withdraw(task string) {
	for i, offer := range s.offers {
		if offer.TaskId == task {
			s.offers = append(s.offers[:i:i], s.offers[i+1:]...)
			return
		}
	}
}

// permitted starts on a permit of this session that was asked for, with the gate open; anything else is void (I3, P3).
func (s *session) permitted(permit *pb.Permit, now time.Time) {
	s.mirror.permit(permit.Nonce, permit.Token)
	_, wasAsked := s.asked[permit.Nonce]
	delete(s.asked, permit.Nonce)
	if permit.Token > s.highestToken {
		s.highestToken = permit.Token
	}
	why := ""
	switch {
	case s.held[permit.Token] != nil:
		return // told again: the same answer, no second start
	case permit.Epoch != s.epoch:
		why = "other_session"
	case !wasAsked || s.never[permit.Token]:
		why = "not_asked"
	case s.leaving() || !s.gate.open(now) || !s.gate.open(time.Now()):
		why = "gate_closed"
	}
	if why != "" {
		log.Printf("token %d is never started: %s", permit.Token, why)
		s.held[permit.Token] = &held{permit.TaskId, void, nil, neverStarted(permit.Token, permit.TaskId, why)}
		return
	}
	r, err := begin(permit, s.agentID, s.ended)
	if err != nil {
		s.held[permit.Token] = &held{permit.TaskId, finished, nil, startFailed(permit, err)}
		return
	}
	log.Printf("token %d starts: task %s, try %d", permit.Token, permit.TaskId, permit.TryNumber)
	s.held[permit.Token] = &held{permit.TaskId, running, r, nil}
}

// voided answers P13: held is shown, in a full inventory; anything else is never started, whatever comes later.
func (s *session) voided(token uint64) {
	if s.held[token] != nil {
		s.fullInventory = true
		return
	}
	s.never[token] = true
	s.held[token] = &held{"", void, nil, neverStarted(token, "", "void")}
}

func (s *session) stop(token uint64, why string) {
	h := s.held[token]
	if h == nil || h.run == nil || h.phase == stopping {
		return
	}
	h.phase, s.changed[token] = stopping, true
	h.run.stop <- why
}

// finish takes the end of a run: everything of it is reaped.
func (s *session) finish(r *run) {
	report := r.report()
	log.Printf("token %d has ended: %s %s", report.Token, report.Kind, report.Reason)
	s.held[report.Token] = &held{r.permit.TaskId, finished, nil, report}
	if r.output.Len() > 0 {
		s.output = append(s.output, &pb.LogChunk{Token: report.Token, TaskId: report.TaskId, Data: r.output.Bytes()})
	}
}

func (s *session) acknowledge(token uint64) {
	delete(s.mirror, key{token: token})
	if h := s.held[token]; h != nil && h.report != nil {
		delete(s.held, token)
	}
}

func (s *session) leaving() bool { return s.draining || s.directive.GetDraining() }

func (s *session) freeSlots() int {
	if s.leaving() || s.directive.GetCordoned() {
		return 0
	}
	free := s.slots - len(s.asked)
	for _, h := range s.held {
		if h.report == nil {
			free--
		}
	}
	return free
}

func (s *session) mayAsk(now time.Time) bool {
	return len(s.offers) > 0 && s.freeSlots() > 0 && s.gate.open(now)
}

// news tells whether a heartbeat goes out at once, without waiting for the tick.
func (s *session) news(now time.Time) bool {
	if len(s.changed) > 0 || s.fullInventory || s.mayAsk(now) {
		return true
	}
	for token, h := range s.held {
		if h.report != nil && !s.told[token] {
			return true
		}
	}
	return false
}

// heartbeat says all there is; on the tick also what nobody has answered yet.
func (s *session) heartbeat(now time.Time, tick bool) *pb.ConnectRequest {
	s.seq++
	s.sent[s.seq] = now
	beat := &pb.Heartbeat{Seq: s.seq, Applied: s.applied}
	for token, h := range s.held {
		if h.report != nil && (tick || !s.told[token]) {
			beat.Reports = append(beat.Reports, h.report)
			s.told[token] = true
			s.mirror.put(token, h.phase)
		} else if h.report == nil && s.changed[token] {
			entry := &pb.InventoryEntry{Phase: h.phase, Token: token, TaskId: h.taskID}
			beat.InventoryChanges = append(beat.InventoryChanges, entry)
			s.mirror.put(token, h.phase)
		}
	}
	s.changed = map[uint64]bool{}
	before := s.nonce
	for s.mayAsk(now) {
		s.nonce++
		s.asked[s.nonce] = s.offers[0].TaskId
		s.offers = s.offers[1:]
	}
	for nonce, task := range s.asked {
		if s.gate.open(now) && (tick || nonce > before) {
			beat.StartRequests = append(beat.StartRequests, &pb.StartRequest{Nonce: nonce, TaskId: task})
			s.mirror[key{nonce: nonce}] = asked
		}
	}
	if s.fullInventory {
		s.fullInventory = false
		beat.FullInventory = &pb.FullInventory{Entries: s.entries()}
		s.replaceMirror()
	}
	beat.InventoryCount, beat.InventoryHash = uint32(len(s.mirror)), s.mirror.hash()
	beat.FreeSlots = uint32(s.freeSlots())
	return &pb.ConnectRequest{Message: &pb.ConnectRequest_Heartbeat{Heartbeat: beat}}
}
