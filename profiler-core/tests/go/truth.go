// Counts its own work, by the clock of the threads that do it, and says in labels which it is at. Labels are made anew each
// time, of texts of the same lengths, and there is much to collect: their memory becomes that of others all the time.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const rounds = 200000

var (
	spent   [3]atomic.Uint64
	sink    atomic.Uint64
	garbage atomic.Pointer[[]byte]
	wide    = len(os.Args) > 1 && os.Args[1] == "wide"
	many    = len(os.Args) > 1 && os.Args[1] == "many"
)

func threadTime() uint64 {
	const threadCPUTime = 3
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, threadCPUTime, uintptr(unsafe.Pointer(&now)), 0)
	return uint64(now.Nano())
}

//go:noinline
func alpha() {
	value := sink.Load()
	for i := uint64(0); i < rounds; i++ {
		value = value*6364136223846793005 + i
	}
	sink.Store(value)
}

//go:noinline
func beta() {
	value := sink.Load()
	for i := uint64(0); i < rounds; i++ {
		value = value*6364136223846793005 + i
	}
	sink.Store(value)
}

//go:noinline
func gamma_() {
	value := sink.Load()
	for i := uint64(0); i < rounds; i++ {
		value = value*6364136223846793005 + i
	}
	sink.Store(value)
}

func labels(work string, number uint64) pprof.LabelSet {
	words := []string{"work", strings.Clone(work)}
	if many {
		words = append(words, "request", strconv.FormatUint(number, 10))
	}
	if wide {
		for i := 0; i < 10; i++ {
			words = append(words, fmt.Sprintf("label %d", i), strings.Repeat("v", 10*i))
		}
		words = append(words, "long", strings.Repeat("ä", 100), strings.Repeat("k", 65), "v")
	}
	return pprof.Labels(words...)
}

func run(state uint64) {
	runtime.LockOSThread()
	outer := pprof.WithLabels(context.Background(), pprof.Labels("tenant", fmt.Sprint("of ", state), "work", "none"))
	for {
		state = state*6364136223846793005 + 1442695040888963407
		// As long as one another.
		place, name, work := 0, "alpha", alpha
		switch chance := (state >> 33) % 10; {
		case chance < 5:
		case chance < 8:
			place, name, work = 1, "beta_", beta
		default:
			place, name, work = 2, "gamma", gamma_
		}
		pprof.Do(outer, labels(name, state), func(context.Context) {
			waste := make([]byte, 16<<10)
			garbage.Store(&waste)
			began := threadTime()
			work()
			spent[place].Add(threadTime() - began)
		})
	}
}

func main() {
	for seed := uint64(1); seed <= 2; seed++ {
		go run(seed)
	}
	io.ReadAll(os.Stdin)
	fmt.Printf("alpha %d\nbeta_ %d\ngamma %d\n", spent[0].Load(), spent[1].Load(), spent[2].Load())
}
