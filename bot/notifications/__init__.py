"""Say in Slack what happened to followed meetings."""
