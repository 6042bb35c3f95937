module flamegate.test/target

go 1.25.0

require github.com/grafana/pyroscope-go/godeltaprof v0.1.11

require github.com/klauspost/compress v1.18.7 // indirect
