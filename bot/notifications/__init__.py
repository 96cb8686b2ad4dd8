"""Announcements in Slack of what happened to followed meetings."""
