"""Everything that talks to Cloudflare RealtimeKit. Independent of Slack and the database."""
