"""Everything that speaks to an API server; the only package that imports `kubernetes`.

Whatever enters the program here is plain JSON with every string sanitised, so no other layer needs to think about
hostile text. From the outside in:

    flags, errors           what callers give and get; cheap to import
    session                 the door: JSON objects, lists, logs, exec, access reviews
    execution, streams      commands in containers; the websocket under them
    review, transcript      what this identity may do; what was asked
    rim, status             what may pass into the program; refusals as exceptions
    channel                 requests as one identity
    credentials             tokens, certificates; `plugin` runs exec plugins, `oidc` renews logins
    transport, line         one request within a deadline and a size; a socket that keeps deadlines
    dial, tls, proxies      the way to the server
    kubeconfig, resolve     files and flags into an `access.Access`, with kubectl's precedence
"""
