module wit_component

go 1.25.0

toolchain go1.26.8

require go.bytecodealliance.org/pkg v0.2.1
