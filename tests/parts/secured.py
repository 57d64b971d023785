"""What a broker of `kafka.py` needs so that clients can log in: addresses, each for some of the ways, and the users.

The properties are Kafka's own; https://kafka.apache.org/documentation/#security says what they mean.
"""

import shutil

# Name of an address -> its security protocol. `kdc.py` adds one, for tests that start it.
WAYS = {
    "MUTUAL": "SSL",  # the client has to show a certificate
    "LOGIN": "SASL_SSL",  # PLAIN, SCRAM and OAUTHBEARER, over TLS
    "IAM": "SASL_SSL",  # signed tokens, as Amazon MSK wants them
    "EXPIRED": "SSL",  # the broker's certificate is out of date
    "ELSEWHERE": "SSL",  # the broker's certificate is in another host's name
}
KERBEROS = {"KERBEROS": "SASL_PLAINTEXT"}
CERTIFICATES = {"MUTUAL": "server", "LOGIN": "server", "IAM": "server", "EXPIRED": "expired", "ELSEWHERE": "elsewhere"}

USER, PASSWORD = "lake", "correct-horse-battery"

# Arguments of `StorageTool format`: SCRAM's users live in the cluster, PLAIN's in the properties.
USERS = [
    argument
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    for argument in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
]

MODULES = "org.apache.kafka.common.security"
MECHANISMS = {
    "PLAIN": f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "SCRAM-SHA-256": f"{MODULES}.scram.ScramLoginModule required;",
    "SCRAM-SHA-512": f"{MODULES}.scram.ScramLoginModule required;",
    "OAUTHBEARER": f"{MODULES}.oauthbearer.OAuthBearerLoginModule required;",
}

# Options of the login module at IAM: what a token there has to be signed with, and where for.
IAM = {"id": "AKIDTEST", "secret": "signed-with-this", "session": "and/this+too=", "region": "eu-test-1"}

# What a token of `oidc.py` has to say.
AUDIENCE, ISSUER = "kafka", "https://oidc.test"


# The brokers' principal in Kerberos, and the file with its key.
SERVICE, KEYTAB = "kafka", "broker.keytab"


def ways(keys):
    """The addresses that a broker with these keys has."""
    return WAYS | KERBEROS if (keys / KEYTAB).exists() else WAYS


def java_options(folder):
    """A broker reads the keys of tokens only from where its Java was told that it may, and Java finds no KDC by itself."""
    return [
        f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={jwks_url(folder)}",
        f"-Djava.security.krb5.conf={folder}/krb5.conf",
    ]


def jwks_url(folder):
    return f"file://{folder}/jwks.json"


def properties(addresses, keys, folder):
    """Further lines of server.properties for a broker in `folder`. What is needed of `keys` is copied there."""
    shutil.copy(keys / "jwks.json", folder)
    shutil.copy(keys / "ca.pem", folder)
    listeners = "".join(f",{way}://{address}" for way, address in addresses.items())
    protocols = "".join(f",{way}:{protocol}" for way, protocol in ways(keys).items())
    lines = {
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": folder / "ca.pem",
        "listener.name.mutual.ssl.client.auth": "required",
        # Short, so that a test sees clients log in again.
        "connections.max.reauth.ms": 4000,
        "listener.name.login.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "listener.name.login.oauthbearer.sasl.server.callback.handler.class":
            f"{MODULES}.oauthbearer.OAuthBearerValidatorCallbackHandler",
        "sasl.oauthbearer.jwks.endpoint.url": jwks_url(folder),
        "sasl.oauthbearer.expected.audience": AUDIENCE,
        "sasl.oauthbearer.expected.issuer": ISSUER,
    }
    options = " ".join(f'{name}="{value}"' for name, value in IAM.items())
    lines |= {
        "listener.name.iam.sasl.enabled.mechanisms": "OAUTHBEARER",
        "listener.name.iam.oauthbearer.sasl.server.callback.handler.class": "IamValidator",
        # The broker itself logs in nowhere. The usual handler would take the options for a token's claims.
        "listener.name.iam.oauthbearer.sasl.login.callback.handler.class": "IamValidator",
        "listener.name.iam.oauthbearer.sasl.jaas.config":
            f"{MODULES}.oauthbearer.OAuthBearerLoginModule required {options};",
    }
    for mechanism, module in MECHANISMS.items():
        lines[f"listener.name.login.{mechanism.lower()}.sasl.jaas.config"] = module
    if "KERBEROS" in addresses:
        for file in (KEYTAB, "krb5.conf"):
            shutil.copy(keys / file, folder)
        [host, _] = addresses["KERBEROS"].split(":")
        login = f'storeKey=true useKeyTab=true keyTab="{folder / KEYTAB}" principal="{SERVICE}/{host}" isInitiator=false'
        lines |= {
            "listener.name.kerberos.sasl.enabled.mechanisms": "GSSAPI",
            "listener.name.kerberos.sasl.kerberos.service.name": SERVICE,
            "listener.name.kerberos.gssapi.sasl.jaas.config":
                f"com.sun.security.auth.module.Krb5LoginModule required {login};",
        }
    for way, stem in CERTIFICATES.items():
        # Kafka wants a key and its certificate in one file.
        pair = folder / f"{stem}-pair.pem"
        pair.write_text((keys / f"{stem}-key.pem").read_text() + (keys / f"{stem}.pem").read_text())
        lines[f"listener.name.{way.lower()}.ssl.keystore.type"] = "PEM"
        lines[f"listener.name.{way.lower()}.ssl.keystore.location"] = pair
    return listeners, protocols, "".join(f"{key}={value}\n" for key, value in lines.items())
