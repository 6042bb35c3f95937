// As truth.c, with what Go has: alpha below recursion that makes the goroutine's stack grow, beta below sort.Slice, gamma
// in what recovers from a panic.
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"sync/atomic"
)

const rounds = 40000

var (
	done [3]atomic.Uint64
	sink atomic.Uint64
)

//go:noinline
func alpha() {
	value := sink.Load()
	for i := uint64(0); i < rounds; i++ {
		value = value*6364136223846793005 + i
	}
	sink.Store(value)
	done[0].Add(1)
}

//go:noinline
func beta() {
	value := sink.Load()
	for i := uint64(0); i < rounds; i++ {
		value = value*6364136223846793005 + i
	}
	sink.Store(value)
	done[1].Add(1)
}

//go:noinline
func gamma_() {
	value := sink.Load()
	for i := uint64(0); i < rounds; i++ {
		value = value*6364136223846793005 + i
	}
	sink.Store(value)
	done[2].Add(1)
}

//go:noinline
func descend(depth int) byte {
	var room [300]byte
	room[depth] = 1
	if depth > 0 {
		room[depth] += descend(depth - 1)
	} else {
		alpha()
	}
	return room[depth]
}

func catch() {
	defer func() {
		if recover() != nil {
			gamma_()
		}
	}()
	panic("caught")
}

func run(state uint64) {
	for {
		state = state*6364136223846793005 + 1442695040888963407
		switch chance := (state >> 33) % 10; {
		case chance < 5:
			descend(200)
		case chance < 8:
			values := []int{2, 1}
			sort.Slice(values, func(a, b int) bool {
				beta()
				return values[a] < values[b]
			})
		default:
			catch()
		}
	}
}

func main() {
	for seed := uint64(1); seed <= 2; seed++ {
		go run(seed)
	}
	io.ReadAll(os.Stdin)
	fmt.Printf("alpha %d\nbeta %d\ngamma_ %d\n", done[0].Load(), done[1].Load(), done[2].Load())
}
