"""The person who uses the cluster: a network namespace, kubectl and this checkout's programs, a kubeconfig."""

import os
from collections.abc import Sequence
from pathlib import Path

from tests.lab.laboratory import namespaces
from tests.lab.laboratory.paths import REPOSITORY, Home
from tests.lab.laboratory.spec import PERSON

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def command(
    home: Home, name: str, argv: Sequence[str], kubeconfig: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """What to execute, and with which environment, so that `argv` runs as the person of a cluster.

    Raises LabError where there is no such cluster.
    """
    run = home.run(name)
    variables = environment()
    variables["PATH"] = f"{REPOSITORY / 'bin'}:{home.person_path}:{variables['PATH']}"
    variables["KUBECONFIG"] = str((kubeconfig or run.kubeconfig("admin")).absolute())
    # Clusters share an address, by which kubectl would otherwise mix up what it learnt about them.
    variables["KUBECACHEDIR"] = str(run.kubectl_cache)
    return list(namespaces.load(run, PERSON).command(argv, flags="n")), variables


def environment() -> dict[str, str]:
    """The caller's, with system programs on PATH and without proxies, which the laboratory's network lacks."""
    kept = {key: value for key, value in os.environ.items() if key.lower() not in PROXY_VARIABLES}
    return {**kept, "PATH": f"{os.environ.get('PATH', '')}:{namespaces.PATH}".lstrip(":")}
