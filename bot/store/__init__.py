"""What the bot remembers, in SQL: follows, meetings, cards and what is still to be told. Knows no Slack, no HTTP.

`open_store` opens it. Every method of its parts is one transaction. Times are epoch seconds in the tables and aware
datetimes in Python; waits are given in seconds from now, so that no two clocks are compared. A database that does not
do its part raises StoreUnreachable.
"""
