"""The bot's state in SQL: follows, meetings, cards and pending announcements. Knows nothing of Slack or HTTP.

`open_store` opens it. Each method of its parts is one transaction. Times are epoch seconds in the tables and aware
datetimes in Python; waits are given in seconds from now, so that no two clocks are compared. If the database fails,
the methods raise DatabaseUnavailable.
"""
