#!/usr/bin/env python3
"""Certificates for tests of TLS, in PEM: an authority of its own, a server at 127.0.0.1, and a client.

  certificates.py DIR   writes ca.pem, server.pem, client.pem and, beside each of the latter two, its key
                        (server-key.pem) into DIR; and what must not be trusted: expired.pem and elsewhere.pem, of a
                        server whose certificate is out of date or in another host's name, and other-ca.pem, an
                        authority that none of these comes from

They are valid for a day. Runs with the Python that `provision` installs.
"""

import argparse
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BEGAN = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
ENDS = BEGAN + datetime.timedelta(days=1)


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(subject, key, issuer, issuer_key, extensions, ends=ENDS):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGAN)
        .not_valid_after(ends)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def write(folder, stem, found, key=None):
    (folder / f"{stem}.pem").write_bytes(found.public_bytes(serialization.Encoding.PEM))
    if key:
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{stem}-key.pem").write_bytes(private)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="DIR")
    folder = parser.parse_args().folder

    is_authority = [(x509.BasicConstraints(ca=True, path_length=0), True)]
    authority, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    write(folder, "ca", certificate("tests", authority, "tests", authority, is_authority))
    write(folder, "other-ca", certificate("others", other, "others", other, is_authority))

    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    there = x509.SubjectAlternativeName([x509.DNSName("elsewhere.test")])
    long_ago = BEGAN + datetime.timedelta(minutes=1)
    for stem, use, more, ends in [
        ("server", ExtendedKeyUsageOID.SERVER_AUTH, [(here, False)], ENDS),
        ("expired", ExtendedKeyUsageOID.SERVER_AUTH, [(here, False)], long_ago),
        ("elsewhere", ExtendedKeyUsageOID.SERVER_AUTH, [(there, False)], ENDS),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH, [], ENDS),
    ]:
        key = ec.generate_private_key(ec.SECP256R1())
        extensions = [(x509.BasicConstraints(ca=False, path_length=None), True), (x509.ExtendedKeyUsage([use]), False)]
        write(folder, stem, certificate(stem, key, "tests", authority, extensions + more, ends), key)


if __name__ == "__main__":
    main()
