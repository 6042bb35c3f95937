// Reads recordings as Grafana's own components do, and says how fast: the yardstick of `flamegate-bench jfr`.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/grafana/jfr-parser/pprof"
)

const (
	leastRuns = 3
	leastTime = 3 * time.Second
)

func main() {
	for _, path := range os.Args[1:] {
		body, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		best := time.Duration(1<<63 - 1)
		begin := time.Now()
		for runs := 0; runs < leastRuns || time.Since(begin) < leastTime; runs++ {
			start := time.Now()
			if err := convert(body); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
				os.Exit(1)
			}
			best = min(best, time.Since(start))
		}
		fmt.Printf("%d %s\n", best.Nanoseconds(), path)
	}
}

func convert(body []byte) error {
	input := pprof.ParseInput{StartTime: time.Unix(0, 0), EndTime: time.Unix(60, 0), SampleRate: 100}
	profiles, err := pprof.ParseJFR(body, &input, nil)
	if err != nil {
		return err
	}
	for _, profile := range profiles.Profiles {
		if _, err := profile.Profile.MarshalVT(); err != nil {
			return err
		}
	}
	return nil
}
