"""A real Kubernetes for tests: nodes are Linux namespaces, the programs are the genuine ones.

Standard library only, so that the laboratory runs before any virtual environment exists.
Lower modules know nothing of higher ones:

    cli                                              the command line
    cluster, status                                  what a command does
    control_plane, node, cni, overlay, world, workloads   the parts of a cluster
    build, store, images, recipes, packages          what must exist before any cluster
    kubectl, components, network, pki, cgroups       mechanisms
    namespaces, process, lock, shell, waiting        tools
    spec, paths, errors                              words
"""
