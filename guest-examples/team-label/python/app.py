"""Adds a `team` label by the beginning of a service's name, and drops the series of some namespaces."""

import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.types import Info, Label, Patch, Verdict_Drop, Verdict_Patch, Verdict_Unchanged

RULES = 'write "team PREFIX TEAM" or "drop NAMESPACE"'

teams: list[tuple[str, str]] = []  # the beginning of a service's name, and its team; the first that fits decides
dropped: set[str] = set()


class Lifecycle(exports.Lifecycle):
    def describe(self) -> Info:
        return Info(name="team-label", version="0.1.0", deterministic=True)

    def configure(self, config: str) -> None:
        """Raises `Err` with what the user is to be told."""
        for number, line in enumerate(config.split("\n"), start=1):
            match re.findall(r"[^ \t\r]+", line):
                case []:
                    continue
                case [word, *_] if word.startswith("#"):
                    continue
                case ["team", prefix, team]:
                    teams.append((prefix, team))
                case ["drop", namespace]:
                    dropped.add(namespace)
                case _:
                    line = line.strip(" \t\r")
                    raise Err(f'line {number}: {RULES}, not "{line}"')
        if not teams and not dropped:
            raise Err(f"no rules: {RULES}")


class FilterLabels(exports.FilterLabels):
    def apply(self, labels: list[Label]) -> Verdict_Drop | Verdict_Patch | Verdict_Unchanged:
        try:
            return decide(labels)
        except Exception as error:
            # What it says would go nowhere else. Not `traceback`: it looks for the source, and there are no files.
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            log.log(log.Level.ERROR, f"{error!r} in line {place.tb_lineno}")
            raise


def decide(labels: list[Label]) -> Verdict_Drop | Verdict_Patch | Verdict_Unchanged:
    values = {label.name: label.value for label in labels}
    if values.get("namespace") in dropped:
        return Verdict_Drop("namespace")
    if "team" in values:
        return Verdict_Unchanged()
    service = values.get("service_name", "")
    for prefix, team in teams:
        if service.startswith(prefix):
            return Verdict_Patch(Patch(set=[Label("team", team)], remove=[]))
    return Verdict_Unchanged()
