"""A real Kubernetes for tests: nodes are Linux namespaces, the programs are the genuine ones.

Standard library only, so that the laboratory runs before any virtual environment exists.
Lower modules know nothing of higher ones:

    cli                                       the command line
    cluster, status, faults                   what a command does
    control_plane, node, cni, world, workloads   the parts of a cluster
    images, store, build, packages            what must exist before any cluster
    namespaces, network, components, pki, cgroups   mechanisms
    spec, paths, process, shell, waiting, errors    words
"""
