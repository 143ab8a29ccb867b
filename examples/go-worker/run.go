package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "holdfast/v1"
)

// run is a started command.
type run struct {
	permit  *pb.Permit
	command *exec.Cmd
	began   time.Time
	output  output
	stopped string
	stop    chan string
}

// output keeps the beginning of what a command writes, as much as one LogChunk may hold. The rest is thrown away: a whole
// agent sends it in chunks with offsets, resumes them after a loss, and bounds what waits; see the Python worker.
type output struct{ bytes.Buffer }

func (o *output) Write(data []byte) (int, error) {
	if room := 64*1024 - o.Len(); room < len(data) {
		o.Buffer.Write(data[:room])
	} else {
		o.Buffer.Write(data)
	}
	return len(data), nil
}

// begin starts the command of a permit in a process group of its own. The caller has looked at the gate just before.
func begin(permit *pb.Permit, agentID string, ended chan<- *run) (*run, error) {
	work := permit.GetWork().GetCommand()
	switch {
	case work == nil:
		return nil, errors.New("this worker runs commands only")
	case permit.PartitionPolicy == pb.PartitionPolicy_PARTITION_POLICY_SINGLE_RUN:
		// Its promise needs a guardian process that ends the run while this one is stopped (P11); see the Python worker.
		return nil, errors.New("this worker has no guardian, so it runs nothing under single_run")
	}
	r := &run{permit: permit, began: time.Now(), stop: make(chan string, 1)}
	r.command = exec.Command(work.Argv[0], work.Argv[1:]...)
	r.command.Dir = work.WorkingDirectory
	r.command.Stdout, r.command.Stderr = &r.output, &r.output
	// Pdeathsig fires when the THREAD that forked ends: main stays on its thread for it (see main).
	r.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r.command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"HOLDFAST_TASK_ID=" + permit.TaskId,
		fmt.Sprintf("HOLDFAST_TRY_NUMBER=%d", permit.TryNumber),
		fmt.Sprintf("HOLDFAST_FENCING_TOKEN=%d", permit.Token),
		"HOLDFAST_AGENT_ID=" + agentID,
		"HOLDFAST_QUEUE=" + permit.Queue,
	}
	for name, value := range work.Env {
		r.command.Env = append(r.command.Env, name+"="+value)
	}
	if err := r.command.Start(); err != nil {
		return nil, err
	}
	go r.watch(ended)
	return r, nil
}

// watch waits for the end, and ends the run before it when it has to.
func (r *run) watch(ended chan<- *run) {
	reaped := make(chan struct{})
	go func() {
		_ = r.command.Wait()
		close(reaped)
	}()
	var timeout, kill <-chan time.Time
	if r.permit.ExecutionTimeout != nil {
		timeout = time.After(r.permit.ExecutionTimeout.AsDuration())
	}
	end := func(why string) {
		if r.stopped == "" {
			r.stopped = why
			r.signal(syscall.SIGTERM)
			kill = time.After(r.permit.KillGrace.AsDuration())
		}
	}
	for {
		select {
		case why := <-r.stop:
			end(why)
		case <-timeout:
			end("execution_timeout")
		case <-kill:
			r.signal(syscall.SIGKILL)
		case <-reaped:
			// The report waits until nothing of the group is left.
			for r.signal(syscall.SIGKILL) == nil {
				time.Sleep(10 * time.Millisecond)
			}
			ended <- r
			return
		}
	}
}

func (r *run) signal(number syscall.Signal) error {
	return syscall.Kill(-r.command.Process.Pid, number)
}

// report says how it ended; the first case that fits.
func (r *run) report() *pb.Report {
	state := r.command.ProcessState
	report := &pb.Report{
		Token: r.permit.Token, TaskId: r.permit.TaskId, Kind: pb.ReportKind_REPORT_KIND_FAILED,
		StartedAt: timestamppb.New(r.began), EndedAt: timestamppb.Now(),
	}
	switch {
	case r.stopped == "execution_timeout":
		report.Reason = r.stopped
	case r.stopped != "":
		report.Kind, report.Reason = pb.ReportKind_REPORT_KIND_KILLED, r.stopped
	case state.ExitCode() < 0:
		report.Reason, report.Message = "signal", strings.TrimSpace(state.String())
	case state.ExitCode() > 0:
		report.ExitCode, report.Reason = int32(state.ExitCode()), "exit_code"
		report.Message = state.String()
	default:
		report.Kind = pb.ReportKind_REPORT_KIND_SUCCESS
	}
	return report
}

func startFailed(permit *pb.Permit, err error) *pb.Report {
	return &pb.Report{
		Token: permit.Token, TaskId: permit.TaskId, Kind: pb.ReportKind_REPORT_KIND_FAILED,
		Reason: "start_failed", Message: err.Error(), EndedAt: timestamppb.Now(),
	}
}

func neverStarted(token uint64, taskID, why string) *pb.Report {
	return &pb.Report{
		Token: token, TaskId: taskID, Kind: pb.ReportKind_REPORT_KIND_NEVER_STARTED,
		Reason: why, EndedAt: timestamppb.Now(),
	}
}
