// A busy program under pyroscope-go: it sends CPU and heap profiles to PYROSCOPE_SERVER_ADDRESS while it runs,
// and the rest when it ends.
package main

import (
	"hash/fnv"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/grafana/pyroscope-go"
)

const uploadInterval = 3 * time.Second

var (
	keptAlive [][]byte
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
func burnCpuBeforeExit(until time.Time) {
	for time.Now().Before(until) {
		sink = hash(sink)
	}
}

//go:noinline
func allocateOnTheHeap() {
	for range 64 {
		keptAlive = append(keptAlive, make([]byte, 1<<20))
	}
}

func main() {
	runtime.MemProfileRate = 64 << 10
	profiler, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: required("PYROSCOPE_APPLICATION_NAME"),
		ServerAddress:   required("PYROSCOPE_SERVER_ADDRESS"),
		UploadRate:      uploadInterval,
		Tags:            map[string]string{"region": "eu-west"},
		Logger:          pyroscope.StandardLogger,
		ProfileTypes: []pyroscope.ProfileType{
			pyroscope.ProfileCPU,
			pyroscope.ProfileInuseObjects,
			pyroscope.ProfileAllocObjects,
			pyroscope.ProfileInuseSpace,
			pyroscope.ProfileAllocSpace,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	allocateOnTheHeap()
	burnCpuWhileRunning(time.Now().Add(uploadInterval + time.Second))
	burnCpuBeforeExit(time.Now().Add(time.Second))
	// Stop alone ends the uploading goroutines, whether or not their queue is empty.
	profiler.Flush(true)
	if err := profiler.Stop(); err != nil {
		log.Fatal(err)
	}
	runtime.KeepAlive(keptAlive)
}

func required(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set", name)
	}
	return value
}
