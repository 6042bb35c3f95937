module flamegate.dev/bench/jfr-parser

go 1.23

require github.com/grafana/jfr-parser/pprof v0.0.4

require (
	github.com/grafana/jfr-parser v0.9.3 // indirect
	github.com/grafana/pyroscope/api v0.4.0 // indirect
	golang.org/x/text v0.17.0 // indirect
	google.golang.org/protobuf v1.34.2 // indirect
)
