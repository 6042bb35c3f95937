// Package export_flamegate_filter_filter_labels is what the host calls for each series.
package export_flamegate_filter_filter_labels

import (
	types "wit_component/flamegate_filter_types"
	"wit_component/teamlabel"
)

func Apply(labels []types.Label) types.Verdict {
	return teamlabel.Configured.Decide(labels)
}
