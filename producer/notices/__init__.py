"""Notices: what people are told without looking, by e-mail, webhook, Slack or Teams (docs/notifications.md).

`telling` is what other features call. `watching` decides what is to be told, `wording` words it for its reader, `channels`
sends it, and `notifier` runs all of this in a thread.
"""
