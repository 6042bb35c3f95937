// Package teamlabel adds a team by the beginning of a service's name, and drops the series of some namespaces.
package teamlabel

import (
	"errors"
	"fmt"
	"strings"

	types "wit_component/flamegate_filter_types"
)

const usage = `write "team PREFIX TEAM" or "drop NAMESPACE"`

// Rules are those of a configuration.
type Rules struct {
	teams   []team // the first that fits decides
	dropped map[string]bool
}

type team struct{ prefix, name string }

// Configured are the rules that this instance applies.
var Configured Rules

// Parse reads a configuration. Its errors are shown to the user.
func Parse(config string) (Rules, error) {
	rules := Rules{dropped: map[string]bool{}}
	for index, line := range strings.Split(config, "\n") {
		words := strings.FieldsFunc(line, blank)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case len(words) == 3 && words[0] == "team":
			rules.teams = append(rules.teams, team{prefix: words[1], name: words[2]})
		case len(words) == 2 && words[0] == "drop":
			rules.dropped[words[1]] = true
		default:
			return Rules{}, fmt.Errorf(`line %d: %s, not "%s"`, index+1, usage, strings.TrimFunc(line, blank))
		}
	}
	if len(rules.teams) == 0 && len(rules.dropped) == 0 {
		return Rules{}, errors.New("no rules: " + usage)
	}
	return rules, nil
}

// Decide says what becomes of a series.
func (rules Rules) Decide(labels []types.Label) types.Verdict {
	values := make(map[string]string, len(labels))
	for _, label := range labels {
		values[label.Name] = label.Value
	}
	if rules.dropped[values["namespace"]] {
		return types.MakeVerdictDrop("namespace")
	}
	if _, there := values["team"]; there {
		return types.MakeVerdictUnchanged()
	}
	for _, team := range rules.teams {
		if strings.HasPrefix(values["service_name"], team.prefix) {
			set := []types.Label{{Name: "team", Value: team.name}}
			return types.MakeVerdictPatch(types.Patch{Set: set})
		}
	}
	return types.MakeVerdictUnchanged()
}

func blank(r rune) bool {
	return r == ' ' || r == '\t' || r == '\r'
}
