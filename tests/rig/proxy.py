"""A reverse proxy in front of the daemon, as right or as wrong as a test wants it, and certificates for it."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path

# The proxy talks to the daemon from here, so that it can be told from the client, which is 127.0.0.1.
OWN_ADDRESS = "127.0.0.2"


class Certificates:
    """An authority of its own, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = folder / "ca.pem"
        (folder / "index").touch()
        (folder / "ca.conf").write_text(
            "[ca]\ndefault_ca = one\n[one]\ndir = .\ndatabase = ./index\nrand_serial = yes\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = any\ncopy_extensions = copy\nunique_subject = no\n[any]\ncommonName = supplied\n")
        self._openssl("req", "-x509", *self._key("ca"), "-days", "30", "-subj", "/CN=authority of a test", "-out", "ca.pem")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    @staticmethod
    def _key(name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key")

    def sign(self, name: str, alternatives: str = "IP:127.0.0.1", end: str = "20991231235959Z") -> tuple[Path, Path]:
        """Certificate and key; `end` as YYYYMMDDhhmmssZ."""
        self._openssl("req", "-new", *self._key(name), "-subj", f"/CN={name}", "-addext",
                      f"subjectAltName={alternatives}", "-out", f"{name}.csr")
        self._openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-cert", "ca.pem", "-keyfile", "ca.key",
                      "-in", f"{name}.csr", "-out", f"{name}.pem", "-startdate", "20200101000000Z", "-enddate", end)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


class Proxy:
    """One thread per connection; one request per connection, then bytes both ways."""

    def __init__(self, port: int, *, forwarded: str | None = "append", proto: bool = True, body_limit: int = 1 << 30,
                 upgrade: bool = True, cut_after_s: float | None = None, admin_port: int | None = None,
                 certificate: tuple[Path, Path] | None = None) -> None:
        self.to, self.forwarded, self.proto, self.body_limit = port, forwarded, proto, body_limit
        self.upgrade, self.cut_after_s, self.admin_port = upgrade, cut_after_s, admin_port
        self.tls: ssl.SSLContext | None = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with (self.tls.wrap_socket(client, server_side=True) if self.tls else client) as front:
                self._pass_on(front)
        except OSError:
            pass  # a client that went away is none of the test's business

    def _pass_on(self, front: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = front.recv(65536)
            if not part:
                return
            head += part
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        if int(fields.get("content-length", "0")) > self.body_limit:
            front.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self._change(fields)
        port = self.admin_port if self.admin_port and lines[0].split(" ")[1] == "/metrics" else self.to
        request = "\r\n".join([lines[0], *(f"{name}: {value}" for name, value in fields.items())]) + "\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), source_address=(OWN_ADDRESS, 0)) as back:
            back.sendall(request.encode("latin-1") + body)
            upward = threading.Thread(target=self._pump, args=(front, back), daemon=True)
            upward.start()
            if self.cut_after_s is not None and "upgrade" in fields:
                back.settimeout(self.cut_after_s)
            self._pump(back, front)

    def _change(self, fields: dict[str, str]) -> None:
        given = fields.get("x-forwarded-for")
        if self.forwarded == "append":
            fields["x-forwarded-for"] = f"{given}, 127.0.0.1" if given else "127.0.0.1"
        elif self.forwarded is None:
            fields.pop("x-forwarded-for", None)
        if self.proto:
            fields["x-forwarded-proto"] = "https" if self.tls else "http"
        if not self.upgrade:
            fields.pop("upgrade", None)
            fields["connection"] = "close"

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while part := source.recv(65536):
                sink.sendall(part)
        except OSError:
            pass


def trusting(certificates: Certificates) -> dict[str, str]:
    """The environment of a program that trusts only that authority."""
    return {"SSL_CERT_FILE": str(certificates.authority), "SSL_CERT_DIR": os.devnull}
