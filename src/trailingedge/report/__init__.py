"""What a session or a replay came to, told to people and to machines: one story, several tellings."""
