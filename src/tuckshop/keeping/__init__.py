"""What is kept of calls besides their rows: prompts and answers, where a group says so."""
