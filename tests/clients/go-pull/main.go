// A busy program that has profiles for whoever asks: those of net/http/pprof, and the differences of godeltaprof. It
// says where it listens, and runs until it is killed.
package main

import (
	"fmt"
	"hash/fnv"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"runtime"
	"sync"
	"time"

	_ "github.com/grafana/pyroscope-go/godeltaprof/http/pprof"
)

var (
	keptAlive [][]byte
	lock      sync.Mutex
	sink      uint64
)

//go:noinline
func hash(seed uint64) uint64 {
	digest := fnv.New64a()
	for i := range 4096 {
		digest.Write([]byte{byte(seed), byte(i)})
	}
	return digest.Sum64()
}

//go:noinline
func burnCpuWhileRunning(until time.Time) {
	for time.Now().Before(until) {
		sink = hash(sink)
	}
}

//go:noinline
func allocateOnTheHeap() {
	keptAlive = append(keptAlive[max(0, len(keptAlive)-63):], make([]byte, 1<<20))
}

//go:noinline
func waitForTheLock() {
	lock.Lock()
	defer lock.Unlock()
	time.Sleep(time.Millisecond)
}

func main() {
	runtime.MemProfileRate = 64 << 10
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr())
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	for range 2 {
		go func() {
			for {
				waitForTheLock()
			}
		}()
	}
	for {
		allocateOnTheHeap()
		burnCpuWhileRunning(time.Now().Add(50 * time.Millisecond))
		time.Sleep(50 * time.Millisecond)
	}
}
