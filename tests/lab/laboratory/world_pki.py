"""Certificates of the servers outside: good, expired, for another name, and signed by an authority of one's own."""

from pathlib import Path

from tests.lab.laboratory.shell import output

PUBLIC = "/O=Example Trust Services/CN=Example Trust Root"
"""Stands for the public authorities."""
COMPANY = "/O=Umbrella Corp/CN=Umbrella TLS Inspection"
"""Stands for the authority of a middlebox that inspects TLS."""

# Name of the certificate: who signs it, and the names in it.
GOOD = {
    "example": ("public", ["example.lab", "www.example.lab", "db.example.lab"]),
    "good": ("public", ["good.example.lab"]),
    "wrong": ("public", ["another.example.org"]),
    "own": ("own", ["own.example.lab"]),
}

_CA = """\
[ca]
default_ca = here
[here]
dir = {folder}
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


def create(folder: Path) -> None:
    """Makes all of them below the folder as NAME.crt (with the signer's) and NAME.key."""
    for name, subject in (("public", PUBLIC), ("own", "/CN=own root"), ("company", COMPANY)):
        where = ["-out", f"{folder}/{name}-ca.crt", "-days", "3650", "-subj", subject]
        output(["openssl", "req", "-x509", *_new_key(folder / f"{name}-ca.key"), *where])
    (folder / "index").write_text("")
    (folder / "serial").write_text("01")
    (folder / "ca.conf").write_text(_CA.format(folder=folder))
    for name, (authority, names) in GOOD.items():
        sign(folder, name, authority, names, ["-days", "365"])
    sign(
        folder, "expired", "public", ["expired.example.lab"],
        ["-startdate", "20240101000000Z", "-enddate", "20250101000000Z"],
    )  # fmt: skip


def sign(folder: Path, name: str, authority: str, names: list[str], lifetime: list[str]) -> None:
    """One certificate with its key."""
    request = folder / f"{name}.csr"
    alternatives = ",".join(f"DNS:{each}" for each in names)
    about = ["-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}"]
    output(["openssl", "req", *_new_key(folder / f"{name}.key"), "-out", str(request), *about])
    signer = ["-cert", f"{folder}/{authority}-ca.crt", "-keyfile", f"{folder}/{authority}-ca.key"]
    files = ["-in", str(request), "-out", f"{folder}/{name}.crt"]
    output(["openssl", "ca", "-batch", "-notext", "-config", f"{folder}/ca.conf", *signer, *files, *lifetime])
    request.unlink()
    with (folder / f"{name}.crt").open("a") as file:
        file.write((folder / f"{authority}-ca.crt").read_text())


def _new_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path)]
