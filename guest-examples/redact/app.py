"""Hides the names of functions: those that begin as the configuration says become `[redacted]`.

Names stand in a table of their own, so neither samples nor stacks are looked at.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log
from wit_world.imports.profile import Profile, Renaming
from wit_world.imports.types import Info, Label, Verdict_Unchanged

REDACTED = "[redacted]"
AT_A_TIME = 10_000

prefixes: list[str] = []


class Lifecycle(exports.Lifecycle):
    def describe(self) -> Info:
        return Info(name="redact", version="0.1.0", deterministic=True)

    def configure(self, config: str) -> None:
        """The beginnings of names to hide, one a line. Raises `Err` with what the user is to be told."""
        lines = [line.strip() for line in config.split("\n")]
        prefixes[:] = [line for line in lines if line and not line.startswith("#")]
        if not prefixes:
            raise Err("no names to hide: write the beginning of a function's name on each line")


class FilterProfile(exports.FilterProfile):
    def apply(self, labels: list[Label], profile: Profile) -> Verdict_Unchanged:
        try:
            redact(profile)
        except Exception as error:
            # What it says would go nowhere else. Not `traceback`: it looks for the source, and there are no files.
            place = error.__traceback__
            while place.tb_next:
                place = place.tb_next
            log.log(log.Level.ERROR, f"{error!r} in line {place.tb_lineno}")
            raise
        # Of the labels; the profile is changed all the same.
        return Verdict_Unchanged()


def redact(profile: Profile) -> None:
    first = 0
    while names := profile.function_names(first, AT_A_TIME):
        hidden = [place for place, name in enumerate(names, start=first) if name.startswith(tuple(prefixes))]
        profile.rename_functions([Renaming(place, REDACTED, "") for place in hidden])
        first += len(names)
