// Package export_flamegate_filter_lifecycle is what the filter says of itself, and how it is configured.
package export_flamegate_filter_lifecycle

import (
	wit "go.bytecodealliance.org/pkg/wit/types"

	types "wit_component/flamegate_filter_types"
	"wit_component/teamlabel"
)

func Describe() types.Info {
	return types.Info{Name: "team-label", Version: "0.1.0", Deterministic: true}
}

func Configure(config string) wit.Result[wit.Unit, string] {
	rules, err := teamlabel.Parse(config)
	if err != nil {
		return wit.Err[wit.Unit](err.Error())
	}
	teamlabel.Configured = rules
	return wit.Ok[wit.Unit, string](wit.Unit{})
}
