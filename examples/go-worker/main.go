// A minimal Holdfast worker in Go, with the gRPC of 2020: the handshake, the gate, and commands. It shows that old gRPC
// stacks interoperate. It keeps no journal, so a worker that dies is waited for until its lease ends; the Python worker
// beside it has everything.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"math/big"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"

	pb "holdfast/v1"
)

// down is a message, or the end of the stream.
type down struct {
	message *pb.ConnectResponse
	err     error
}

func main() {
	// Children are killed when the thread that forked them ends (Pdeathsig): everything starts from this one.
	runtime.LockOSThread()
	coordinator := flag.String("coordinator", env("HOLDFAST_COORDINATOR", "127.0.0.1:7400"), "HOST:PORT")
	agentID := flag.String("agent-id", env("HOLDFAST_AGENT_ID", "go-worker"), "stable name")
	queues := flag.String("queue", env("HOLDFAST_QUEUE", "default"), "queues, with commas between")
	slots := flag.Int("slots", number(env("HOLDFAST_SLOTS", "4")), "runs at once")
	secured := tlsFlags()
	flag.Parse()
	if _, err := secured.option(); err != nil {
		log.Fatal(err)
	}

	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		log.Fatal(err)
	}
	s := &session{
		agentID: *agentID, instanceID: hex.EncodeToString(random), queues: strings.Split(*queues, ","), slots: *slots,
		held: map[uint64]*held{}, asked: map[uint64]string{}, never: map[uint64]bool{}, ended: make(chan *run, 64),
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)

	attempts, lostAt, said := 0, time.Time{}, ""
	for {
		asked, welcomed, err := stream(s, *coordinator, secured, signals)
		if err == nil {
			return // the session was ended on purpose
		}
		if welcomed {
			attempts, lostAt = 0, time.Now()
		}
		wait := asked + backoff(attempts, lostAt, s.lease)
		attempts++
		if err.Error() != said { // once for an outage, not at every attempt
			said = err.Error()
			log.Printf("stream lost: %s", said)
		}
		wake := time.After(wait)
		for waiting := true; waiting; {
			select {
			case <-wake:
				waiting = false
			case r := <-s.ended:
				s.finish(r)
			case <-signals:
				drain(s)
			}
		}
	}
}

// backoff is P9: full jitter from 250 ms, at most 1 s in the first 10 s after a loss, then min(10 s, L/5).
func backoff(attempts int, lostAt time.Time, lease time.Duration) time.Duration {
	most := 10 * time.Second
	if lease > 0 && lease/5 < most {
		most = lease / 5
	}
	if (lostAt.IsZero() || time.Since(lostAt) < 10*time.Second) && most > time.Second {
		most = time.Second
	}
	step := 250 * time.Millisecond << uint(min(attempts, 8))
	if step < most {
		most = step
	}
	part, _ := rand.Int(rand.Reader, big.NewInt(int64(most)))
	return time.Duration(part.Int64())
}

// stream is one call of Connect. It returns nil once a Goodbye was acknowledged, else how long to wait and why.
func stream(s *session, address string, secured *tlsFiles, signals <-chan os.Signal) (time.Duration, bool, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	// A connection of its own for each stream: gRPC's back-off of a shared one would be added to P9's.
	security, err := secured.option() // reads its files anew: certificates change
	if err != nil {
		return 0, false, err
	}
	conn, err := grpc.DialContext(ctx, address, security)
	if err != nil {
		return 0, false, err
	}
	defer conn.Close()
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	call, err := conn.NewStream(ctx, description, "/holdfast.v1.AgentService/Connect")
	if err != nil {
		return 0, false, err
	}
	messages := make(chan down)
	go receive(ctx, call, messages)

	if err := call.SendMsg(s.hello(time.Now())); err != nil {
		return 0, false, err
	}
	patience := 5 * time.Second // no Welcome has said yet what H is
	if s.interval > 0 {
		patience = maxDuration(time.Second, s.interval*3/2)
	}
	silence := time.NewTimer(patience)
	tick := time.NewTimer(time.Hour)
	welcomed, goodbye := false, false
	for {
		onTick := false
		select {
		case <-silence.C: // 1.5 H (P4)
			return 0, welcomed, fmt.Errorf("silent for %s", patience)
		case <-tick.C:
			onTick = true
			tick.Reset(s.interval)
		case r := <-s.ended:
			s.finish(r)
		case <-signals:
			drain(s)
		case m := <-messages:
			if m.err != nil {
				return 0, welcomed, m.err
			}
			switch down := m.message.Message.(type) {
			case *pb.ConnectResponse_Welcome:
				s.welcome(down.Welcome)
				log.Printf("session %d: H %s, L %s", s.epoch, s.interval, s.lease)
				welcomed, patience = true, s.interval*3/2
				tick.Reset(0)
			case *pb.ConnectResponse_Ack:
				s.acknowledged(down.Ack, time.Now())
			case *pb.ConnectResponse_Refused:
				for _, a := range down.Refused.Acknowledgements {
					s.acknowledge(a.Token)
				}
				return down.Refused.Delay.AsDuration(), false, fmt.Errorf("refused: %s", down.Refused.Message)
			case *pb.ConnectResponse_Reconnect:
				return down.Reconnect.Delay.AsDuration(), welcomed, fmt.Errorf("asked to: %s", down.Reconnect.Reason)
			case *pb.ConnectResponse_Farewell:
				if goodbye {
					return 0, welcomed, nil
				}
			}
			silence.Reset(patience)
		}
		if !welcomed {
			continue
		}
		for ; len(s.output) > 0; s.output = s.output[1:] {
			if err := call.SendMsg(&pb.ConnectRequest{Message: &pb.ConnectRequest_LogChunk{LogChunk: s.output[0]}}); err != nil {
				return 0, welcomed, err
			}
		}
		if onTick || s.news(time.Now()) {
			if err := call.SendMsg(s.heartbeat(time.Now(), onTick)); err != nil {
				return 0, welcomed, err
			}
		}
		if s.leaving() && !goodbye && len(s.held) == 0 && len(s.asked) == 0 {
			goodbye, s.gate.closedForGood = true, true
			bye := &pb.Goodbye{EndsSession: true, Reason: "drained"}
			if err := call.SendMsg(&pb.ConnectRequest{Message: &pb.ConnectRequest_Goodbye{Goodbye: bye}}); err != nil {
				return 0, welcomed, err
			}
		}
	}
}

func receive(ctx context.Context, call grpc.ClientStream, messages chan<- down) {
	for {
		message := &pb.ConnectResponse{}
		err := call.RecvMsg(message)
		select {
		case messages <- down{message, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// drain asks for nothing new (P6); a second signal ends the process, and Pdeathsig its runs.
func drain(s *session) {
	if s.draining {
		os.Exit(130)
	}
	log.Printf("draining")
	s.draining = true
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		log.Fatalf("%q is no number", text)
	}
	return value
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func maxDuration(a, b time.Duration) time.Duration {
	if a > b {
		return a
	}
	return b
}
