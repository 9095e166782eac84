"""What the rules of all scenes are made of."""

from collections import Counter
from typing import Any

from rig.rbac.scene import Scene

# How often each kind must be there at the least.
LEAST = 5

MATCHERS = (
    "header string_match exact_match prefix_match suffix_match contains_match safe_regex_match"
    " range_match present_match invert_match treat_missing_header_as_empty exact prefix suffix"
    " contains safe_regex ignore_case url_path metadata sourced_metadata metadata_source invert"
    " double_match bool_match null_match list_match or_match"
).split()
REQUIRED = {
    "permissions": [
        *"and_rules or_rules not_rule any destination_ip destination_port".split(),
        *"destination_port_range uri_template requested_server_name".split(),
        *MATCHERS,
    ],
    "principals": [
        *"and_ids or_ids not_id any authenticated principal_name source_ip direct_remote_ip".split(),
        *"remote_ip custom any_validated_client_certificate san_matcher".split(),
        *MATCHERS,
    ],
    "predicate": [
        *"and_matcher or_matcher not_matcher value_match custom_match".split(),
        *"exact prefix suffix contains safe_regex ignore_case".split(),
        *"SourceIPInput DirectSourceIPInput SourcePortInput DestinationIPInput".split(),
        *"DestinationPortInput ServerNameInput UriSanInput DnsSanInput SubjectInput".split(),
        *"HttpRequestHeaderMatchInput DynamicMetadataInput Ip Metadata".split(),
    ],
}


def rare(scenes: list[Scene]) -> list[str]:
    """Kinds that are not there often enough."""
    seen: Counter[tuple[str, str]] = Counter()
    for scene in scenes:
        count([scene.filters, scene.routes, scene.network], "", seen)
    return [
        f"{place}: {kind} is there {seen[place, kind]} times; expected {LEAST}"
        for place, kinds in REQUIRED.items()
        for kind in kinds
        if seen[place, kind] < LEAST
    ]


def count(value: Any, place: str, seen: Counter[tuple[str, str]]) -> None:
    """Counts fields and extensions by what they are part of."""
    if isinstance(value, list):
        for one in value:
            count(one, place, seen)
    if not isinstance(value, dict):
        return
    for key, one in value.items():
        inside = key if key in REQUIRED else place
        seen[inside, one.rpartition(".")[2] if key == "@type" else key] += 1
        count(one, inside, seen)
