// Package export_flamegate_filter_filter_labels is what the host calls for each series.
package export_flamegate_filter_filter_labels

import (
	"fmt"

	log "wit_component/flamegate_filter_log"
	types "wit_component/flamegate_filter_types"
	"wit_component/teamlabel"
)

func Apply(labels []types.Label) types.Verdict {
	defer func() {
		// What a panic says would go nowhere else.
		if panicked := recover(); panicked != nil {
			log.Log(log.Level_Error, fmt.Sprint(panicked))
			panic(panicked)
		}
	}()
	return teamlabel.Configured.Decide(labels)
}
