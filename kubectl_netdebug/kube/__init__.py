"""Everything that speaks to an API server: kubeconfig, credentials, REST, exec, access reviews.

The only package that imports `kubernetes`. Whatever enters the program here is plain JSON with every string
sanitised, so no other layer needs to think about hostile text.
"""
