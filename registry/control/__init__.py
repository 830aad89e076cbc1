"""The control socket: how a command looks at a running application of the same user.

`protocol` is pure (lines, requests, answers), `desk` answers requests, `places` knows where sockets
lie, `server` and `client` do the input and output.
"""
