// As truth.go, for a runtime that works as hard as the program: much is allocated and collected, finalizers run, stacks of
// goroutines grow, and code of assembly has the frame pointer's register for itself. Counts the time of the threads that do
// the work, with what the runtime does for it on their way.
package main

import (
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

type node struct {
	left, right *node
	name        string
	named       map[string]*node
}

var (
	spent [3]uint64
	sink  uint64
	kept  [8][64]*node
)

func threadTime() uint64 {
	const threadCPUTime = 3
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPUTime, uintptr(unsafe.Pointer(&now)), 0)
	return uint64(now.Nano())
}

//go:noinline
func tree(depth int, seed uint64) *node {
	made := &node{name: fmt.Sprint("node ", seed, depth)}
	if depth > 0 {
		made.left, made.right = tree(depth-1, seed), tree(depth-1, seed+1)
	}
	if depth == 2 {
		runtime.SetFinalizer(made, func(gone *node) { atomic.AddUint64(&sink, uint64(len(gone.name))) })
	}
	return made
}

//go:noinline
func names(seed uint64) *node {
	named := map[string]*node{}
	for i := 0; i < 100; i++ {
		name := strings.Repeat("k", i%20) + fmt.Sprint(seed, i)
		named[name] = &node{name: name}
	}
	var sorted []string
	for name := range named {
		sorted = append(sorted, name)
	}
	sort.Strings(sorted)
	return &node{named: named, name: strings.Join(sorted, ",")}
}

//go:noinline
func alpha(worker int, state uint64) {
	place := &kept[worker][state>>40%64]
	if state>>50%2 == 0 {
		*place = tree(6, state)
	} else {
		*place = names(state)
	}
}

//go:noinline
func descend(depth int) byte {
	var room [700]byte
	room[depth] = 1
	if depth > 0 {
		room[depth] += descend(depth - 1)
	}
	return room[depth]
}

//go:noinline
func beta(_ int, state uint64) {
	atomic.AddUint64(&sink, uint64(descend(20+int(state>>40%60))))
}

//go:noinline
func gamma_(_ int, state uint64) {
	var text [16 << 10]byte
	text[state>>50] = 1
	sum := md5.Sum(text[:])
	atomic.AddUint64(&sink, uint64(sum[0]))
}

// For the time of its thread to be its own a goroutine has to keep it.
func work(place int, what func(int, uint64), worker int, state uint64) {
	runtime.LockOSThread()
	began := threadTime()
	what(worker, state)
	atomic.AddUint64(&spent[place], threadTime()-began)
	runtime.UnlockOSThread()
}

func run(worker int) {
	done := make(chan bool)
	state := uint64(worker + 1)
	for {
		state = state*6364136223846793005 + 1442695040888963407
		switch chance := (state >> 33) % 20; {
		case chance < 2:
			work(0, alpha, worker, state)
		case chance < 15:
			// Each goroutine begins with a small stack.
			state := state
			go func() {
				work(1, beta, worker, state)
				done <- true
			}()
			<-done
		default:
			work(2, gamma_, worker, state)
		}
	}
}

func main() {
	debug.SetGCPercent(50)
	for worker := range kept {
		go run(worker)
	}
	io.ReadAll(os.Stdin)
	for place, name := range []string{"alpha", "beta", "gamma_"} {
		fmt.Println(name, atomic.LoadUint64(&spent[place]))
	}
}
