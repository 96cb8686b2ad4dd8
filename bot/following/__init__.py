"""Following meetings: checking their livestreams and announcing the changes in Slack."""
