// Says which thread it is, and stops itself where its stack is known: in the first goroutine, or in another; or before its
// stack becomes too small.
package main

import (
	"os"
	"runtime"
	"sort"
	"syscall"
)

var sink int

//go:noinline
func stopHere() {
	println(syscall.Gettid())
	// To this thread: any other could take what is sent to the process, and this one go on.
	syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGSTOP))
	sink += leaf(sink)
	if len(os.Args) > 1 && os.Args[1] == "grows" {
		sink += large(sink)
	}
}

//go:noinline
func large(a int) int {
	var bytes [64 << 10]byte
	bytes[a&0xff] = 1
	return int(bytes[a&0xfff])
}

//go:noinline
func leaf(a int) int {
	return a*3 + 1
}

//go:noinline
func descend(left int) {
	var bytes [300]byte
	bytes[left] = 1
	if left > 0 {
		descend(left - 1)
	} else {
		pair := []int{2, 1}
		sort.Slice(pair, func(a, b int) bool {
			stopHere()
			return pair[a] < pair[b]
		})
	}
	sink += int(bytes[left])
}

//go:noinline
func other(done chan bool) {
	runtime.LockOSThread()
	descend(3)
	done <- true
}

func main() {
	runtime.LockOSThread()
	if len(os.Args) > 1 && os.Args[1] == "goroutine" {
		done := make(chan bool)
		go other(done)
		<-done
		return
	}
	descend(3)
}
