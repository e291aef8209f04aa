"""kubectl as the administrator, from the person's machine."""

import os
import subprocess
from dataclasses import dataclass

from tests.lab.laboratory import shell
from tests.lab.laboratory.namespaces import PATH, Namespace
from tests.lab.laboratory.paths import Home, Run


@dataclass(frozen=True)
class Kubectl:
    home: Home
    run: Run
    person: Namespace

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl's output. Raises LabError when it fails."""
        return shell.output(self._command(arguments), stdin, self._environment())

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return shell.attempt(self._command(arguments), env=self._environment())

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return self.person.command([f"{self.home.bin}/kubectl", "--request-timeout=5s", *arguments], flags="n")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": PATH,
            "HOME": os.environ.get("HOME", "/root"),
            "KUBECONFIG": str(self.run.kubeconfig("admin")),
            "KUBECACHEDIR": str(self.run.kubectl_cache),
        }
