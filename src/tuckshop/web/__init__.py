"""Pages for people: a face beside the admin API. What they show comes from there."""
