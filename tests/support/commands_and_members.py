"""Which commands show members: tests call each of these for a group that hides who they are (P11)."""

from __future__ import annotations

# Every command that shows something, as it is typed; what has rows is asked for them as CSV and as JSON too.
READING: dict[str, tuple[str, ...]] = {
    "group list": (),
    "group show": ("quiet",),
    "group export": ("quiet",),
    "member list": ("--group", "quiet"),
    "member show": ("{member}",),
    "member grants": ("{member}",),
    "key list": ("--group", "quiet"),
    "key show": ("{key}",),
    "mail list": (),
    "token list": (),
    "token show": ("{token}",),
    "workspace show": (),
    "upstream list": (),
    "upstream show": ("openai",),
    "prices list": (),
    "usage": ("--by", "member,model"),
    "usage forecast": ("--group", "quiet"),
    "usage statement": ("--group", "quiet"),
    "log": (),
    "audit": (),
    "flags": (),
    "hold list": (),
    "notify show": ("--group", "quiet"),
    "webhook list": (),
    "webhook show": ("{webhook}",),
    "webhook deliveries": ("{webhook}",),
    "flags show": ("{flag}",),
    "who": ("{hash}", "--reason", "a warning"),
    "log body": ("{request}", "--reason", "a warning"),
    "log search": ("hello", "--group", "quiet", "--reason", "a warning"),
    "key find": ("-",),
    "mail preview": ("--group", "quiet", "--again"),
    "verify": (),
    "doctor": (),
    "config": (),
}
# What changes something but answers with members, each on a group of its own.
CHANGING: dict[str, tuple[str, ...]] = {
    "group edit": ("quiet", "--title", "Quiet"),
    "group pause": ("quiet",),
    "group resume": ("quiet",),
    "group reset": ("quiet",),
    "member edit": ("{member}", "--limits", "$2/month"),
    "member pause": ("{member}",),
    "member resume": ("{member}",),
    "member reset": ("{member}",),
    "member grant": ("{member}", "--amount-usd", "0.5"),
    "member create": ("CANARY-4712", "--group", "quiet"),
    "member import": ("{roster}", "--group", "quiet"),
    "key create": ("--member", "{member}"),
    "key hand-out": ("--group", "quiet", "--reissue"),
    "key link": ("--member", "{member}"),
    "hold set": ("--member", "{member}", "--reason", "a complaint"),
    "flags link": ("{member}",),
    "flags appeal": ("{flag}", "--reason", "a quotation"),
    "flags resolve": ("{flag}", "--state", "upheld", "--reason", "seen"),
    "key edit": ("{key}", "--name", "desktop"),
    "key pause": ("{key}",),
    "key resume": ("{key}",),
    "key reset": ("{key}",),
    "apply": ("{course}", "--dry-run"),
    "erase member": ("{member}", "--reason", "asked for", "--dry-run"),
    "erase group": ("quiet", "--reason", "it is over", "--dry-run"),
}
# These tell who somebody is, and are meant to.
OPENING = {"member identity", "export member", "group unmask", "workspace unmask"}
# These name no member: they start something, or are about upstreams, tokens, prices, one's own files; or they end for
# good what the commands above need.
APART = {
    *("serve", "demo", "mock-upstream", "completion", "backup", "restore", "import", "correct"),
    *("clock accept", "audit verify", "group create", "group archive", "member archive"),
    *("token create", "token revoke", "workspace edit", "upstream add", "upstream edit"),
    *("upstream remove", "upstream test", "prices set", "prices unset", "mail cancel"),
    *("mail retry", "mail invite", "mail rotated", "mail test", "key archive", "key issue"),
    *("key revoke", "key rotate", "prices refresh", "hold release", "notify set", "webhook add"),
    *("webhook edit", "webhook remove", "webhook test"),
}
