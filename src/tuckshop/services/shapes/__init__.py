"""
The JSON that the admin API takes and gives: one struct per body, a module per area.

What is sent lists the writable fields and nothing else, and an unknown name refuses the whole change (K6). In a change,
`UNSET` is a field that was not sent, and None is one that was sent as `null`: back to its default.
"""
