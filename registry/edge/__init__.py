"""The HTTP edge: functions called by requests, processes bridged to websockets. Extra `http`.

Map: `exchange` (requests and results as plain data, error kinds to status codes) and `routes`
(which endpoint a path means) are pure; `middleware` decides under whose actor and scope a request
runs; `site` is the application that Hypercorn drives; `socket` bridges a websocket to a process;
`server` listens and keeps connections within their limits.

Rules: HT1-HT9.
"""
