"""What it costs to follow many meetings, and how soon changes are told."""
