// Stops itself while its goroutine has labels.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
)

//go:noinline
func stopHere() {
	fmt.Fprintln(os.Stderr, syscall.Gettid())
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
}

func main() {
	runtime.LockOSThread()
	words := []string{"endpoint", "/buy", "empty", "", "long", "0123456789"}
	for i := 0; i < 10; i++ {
		words = append(words, fmt.Sprint("more ", i), fmt.Sprint(i))
	}
	pprof.Do(context.Background(), pprof.Labels(words...), func(context.Context) { stopHere() })
}
