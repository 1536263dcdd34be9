#!/usr/bin/env python3
"""An OAuth client of others, Authlib, and verifiers of others, PyJWT and joserfc, against a running stack.

    oauth_client.py CONFIG    prints a line for each thing that held; stops at the first that did not

CONFIG is the JSON file that tests/tests/oauth writes.
"""

import json
import ssl
import sys
import time

import jwt
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ALGORITHMS = ["ES256", "RS256", "EdDSA"]
KEY_TYPES = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}

with open(sys.argv[1]) as file:
    CONFIG = json.load(file)
URL = CONFIG["url"]
CERTS = CONFIG["certs"]


def held(what):
    print(what, flush=True)


def session(client, method="client_secret_basic", secret=None, certificate=None):
    it = OAuth2Session(client, secret or CONFIG["secrets"][client], token_endpoint_auth_method=method)
    it.verify = CONFIG["ca"]
    it.trust_env = False
    if certificate:
        it.cert = (f"{CERTS}/{certificate}/client.crt", f"{CERTS}/{certificate}/client.key")
    return it


def refused(call, status, error):
    """The call ends with this OAuth error."""
    answer = call()
    assert answer.status_code == status, (answer.status_code, answer.text)
    assert answer.json()["error"] == error, answer.text
    assert answer.headers["Cache-Control"] == "no-store", answer.headers
    return answer


def post(path, data, **more):
    return requests.post(URL + path, data=data, verify=CONFIG["ca"], timeout=10, **more)


def secret_form(client, **more):
    return {"client_id": client, "client_secret": CONFIG["secrets"][client], **more}


def discover():
    answer = requests.get(f"{URL}/.well-known/oauth-authorization-server", verify=CONFIG["ca"], timeout=10)
    assert answer.headers["Content-Type"] == "application/json"
    metadata = AuthorizationServerMetadata(answer.json())
    metadata.validate()
    assert metadata.issuer == URL
    held("discovered")
    return metadata


class Verifiers:
    """Each reads the key set for itself."""

    def __init__(self, metadata):
        context = ssl.create_default_context(cafile=CONFIG["ca"])
        self.client = jwt.PyJWKClient(metadata.jwks_uri, ssl_context=context)
        answer = requests.get(metadata.jwks_uri, verify=CONFIG["ca"], timeout=10)
        assert answer.headers["Content-Type"] == "application/jwk-set+json"
        self.keys = KeySet.import_key_set(answer.json())

    def verify(self, token, audience=URL):
        key = self.client.get_signing_key_from_jwt(token)
        claims = jwt.decode(
            token, key, algorithms=ALGORITHMS, audience=audience, issuer=URL,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]},
        )
        other = joserfc_jwt.decode(token, self.keys, algorithms=ALGORITHMS)
        assert other.claims == claims and other.header["typ"] == "at+jwt"
        registry = joserfc_jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": URL}, aud={"essential": True, "value": audience})
        registry.validate(other.claims)
        return claims

    def refuse(self, token):
        try:
            self.verify(token)
        except jwt.PyJWTError:
            return
        raise AssertionError("a changed token was verified")


def authenticate_in_every_way(metadata, verifiers):
    endpoint = metadata.token_endpoint
    for method in ["client_secret_basic", "client_secret_post"]:
        answer = session("svc.analyst", method).fetch_token(endpoint, grant_type="client_credentials")
        claims = verifiers.verify(answer["access_token"])
        assert (claims["sub"], claims["client_id"], claims["roles"]) == ("svc.analyst", "svc.analyst", ["svc.analyst"])
        assert answer["token_type"] == "Bearer" and 0 < answer["expires_in"] <= 900
        assert claims["exp"] - claims["iat"] == answer["expires_in"]
        held(method)
    for key in CONFIG["keys"]:
        private = KEY_TYPES[key["alg"][:2]].import_key(key["pem"])
        client = session("svc.analyst", "private_key_jwt", private)
        # Authlib's own hour is longer than an assertion may live here.
        claims = {"exp": int(time.time()) + 120}
        method = PrivateKeyJWT(endpoint, alg=key["alg"], claims=claims, headers={"kid": key["kid"]})
        client.register_client_auth_method(method)
        answer = client.fetch_token(endpoint, grant_type="client_credentials")
        assert verifiers.verify(answer["access_token"])["sub"] == "svc.analyst"
        held(f"private_key_jwt {key['alg']}")
    client = session("svc.memory", "none", certificate="memory")
    answer = client.fetch_token(endpoint, grant_type="client_credentials")
    claims = verifiers.verify(answer["access_token"])
    assert claims["sub"] == "svc.memory" and len(claims["cnf"]["x5t#S256"]) == 43
    held("tls_client_auth")
    answer = requests.post(
        endpoint, json={"service_id": "svc.actuator", "client_secret": CONFIG["secrets"]["svc.actuator"]},
        verify=CONFIG["ca"], timeout=10).json()
    assert verifiers.verify(answer["access_token"])["sub"] == "svc.actuator"
    held("service_id and client_secret")


def ask_for_less_and_for_others(metadata, verifiers):
    client = session("svc.analyst")
    answer = client.fetch_token(metadata.token_endpoint, grant_type="client_credentials", scope="read:signals")
    assert (answer["scope"], verifiers.verify(answer["access_token"])["scope"]) == ("read:signals", "read:signals")
    answer = client.fetch_token(metadata.token_endpoint, grant_type="client_credentials", audience="svc.memory")
    assert verifiers.verify(answer["access_token"], "svc.memory")["aud"] == "svc.memory"
    verifiers.refuse(answer["access_token"])
    held("scope and audience")
    signed = set()
    for client in ["svc.analyst", "svc.optimizer", "svc.memory"]:
        token = session(client).fetch_token(metadata.token_endpoint, grant_type="client_credentials")["access_token"]
        verifiers.verify(token)
        signed.add(jwt.get_unverified_header(token)["alg"])
        head, claims, signature = token.split(".")
        place = len(signature) // 2
        changed = signature[:place] + ("A" if signature[place] != "A" else "B") + signature[place + 1:]
        verifiers.refuse(f"{head}.{claims}.{changed}")
    assert signed == set(ALGORITHMS), signed
    held("every signing algorithm")


def be_refused(metadata):
    path = "/sts/token"
    answer = refused(lambda: post(path, {"grant_type": "client_credentials"}, auth=("svc.analyst", "wrong")), 401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    refused(lambda: post(path, secret_form("svc.analyst", grant_type="password")), 400, "unsupported_grant_type")
    refused(lambda: post(path, secret_form("svc.analyst")), 400, "invalid_request")
    refused(lambda: post(path, secret_form("svc.analyst", grant_type="client_credentials", scope="execute:external")), 400, "invalid_scope")
    refused(lambda: post(path, secret_form("svc.analyst", grant_type=EXCHANGE)), 400, "unauthorized_client")
    twice = [("grant_type", "client_credentials"), ("scope", "read:signals"), ("scope", "read:signals")]
    refused(lambda: post(path, twice + list(secret_form("svc.analyst").items())), 400, "invalid_request")
    both = secret_form("svc.analyst", grant_type="client_credentials")
    refused(lambda: post(path, both, auth=("svc.analyst", both["client_secret"])), 400, "invalid_request")
    held("refusals")


def introspect_and_revoke(metadata, verifiers):
    client = session("svc.memory")
    token = client.fetch_token(metadata.token_endpoint, grant_type="client_credentials")["access_token"]
    own = client.introspect_token(metadata.introspection_endpoint, token=token).json()
    claims = verifiers.verify(token)
    assert own["active"] is True and own["token_type"] == "Bearer"
    assert {name: own[name] for name in claims} == claims
    stranger = session("svc.bff").introspect_token(metadata.introspection_endpoint, token=token).json()
    assert stranger == {"active": False}
    auditor = session("ops.auditor").introspect_token(metadata.introspection_endpoint, token=token).json()
    assert auditor["active"] is True
    assert client.introspect_token(metadata.introspection_endpoint, token="nonsense").json() == {"active": False}
    held("introspected")
    assert session("svc.bff").revoke_token(metadata.revocation_endpoint, token=token).status_code == 400
    assert client.revoke_token(metadata.revocation_endpoint, token="nonsense").status_code == 200
    assert client.revoke_token(metadata.revocation_endpoint, token=token, token_type_hint="refresh_token").status_code == 200
    for _ in range(50):
        if client.introspect_token(metadata.introspection_endpoint, token=token).json() == {"active": False}:
            break
        time.sleep(0.2)
    else:
        raise AssertionError("a revoked token stays active")
    held("revoked")


def refresh(metadata, verifiers):
    endpoint = metadata.token_endpoint
    client = session("svc.bff")
    first = client.fetch_token(endpoint, grant_type="client_credentials")
    second = client.refresh_token(endpoint, refresh_token=first["refresh_token"])
    assert second["refresh_token"] != first["refresh_token"]
    assert verifiers.verify(second["access_token"])["sub"] == "svc.bff"
    held("refreshed")
    # Beyond the window in which an honest client may have lost the answer.
    time.sleep(11)
    form = lambda token: secret_form("svc.bff", grant_type="refresh_token", refresh_token=token)
    refused(lambda: post("/sts/token", form(first["refresh_token"])), 400, "invalid_grant")
    refused(lambda: post("/sts/token", form(second["refresh_token"])), 400, "invalid_grant")
    held("a replayed refresh token ends its family")
    third = client.fetch_token(endpoint, grant_type="client_credentials")
    assert client.revoke_token(metadata.revocation_endpoint, token=third["refresh_token"]).status_code == 200
    refused(lambda: post("/sts/token", form(third["refresh_token"])), 400, "invalid_grant")
    held("a revoked refresh token is refused")


def exchange(metadata, verifiers):
    endpoint = metadata.token_endpoint
    subject = session("svc.enterprise").fetch_token(endpoint, grant_type="client_credentials", audience="svc.actuator")
    answer = session("svc.bff").fetch_token(
        endpoint, grant_type=EXCHANGE, subject_token=CONFIG["user_token"], subject_token_type=ACCESS_TOKEN)
    claims = verifiers.verify(answer["access_token"])
    assert answer["issued_token_type"] == ACCESS_TOKEN
    assert claims["sub"] == "users:ana" and claims["act"]["sub"] == "svc.bff", claims
    held("a user's token exchanged")
    wrong = secret_form("svc.bff", grant_type=EXCHANGE, subject_token_type=ACCESS_TOKEN)
    refused(lambda: post("/sts/token", {**wrong, "subject_token": subject["access_token"]}), 400, "invalid_request")
    refused(lambda: post("/sts/token", {**wrong, "subject_token": CONFIG["expired_user_token"]}), 400, "invalid_request")
    refused(lambda: post("/sts/token", {**wrong, "subject_token": CONFIG["stranger_token"]}), 400, "invalid_request")
    held("tokens that may not be exchanged")


def main():
    metadata = discover()
    verifiers = Verifiers(metadata)
    authenticate_in_every_way(metadata, verifiers)
    ask_for_less_and_for_others(metadata, verifiers)
    be_refused(metadata)
    introspect_and_revoke(metadata, verifiers)
    exchange(metadata, verifiers)
    refresh(metadata, verifiers)


main()
