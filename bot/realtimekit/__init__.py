"""Cloudflare RealtimeKit's side. Knows no Slack and no database."""
