"""Reads a finished key back with PyPI's fido2, as its user's computer would.

    python readback.py NODE PIN RP_ID CREDENTIAL_ID PUBLIC_KEY

CREDENTIAL_ID is hexadecimal, PUBLIC_KEY the COSE key that the tenant holds, base64url. Shares no code with keybench. Ends with 0 and one
line of JSON, or with the first disagreement.
"""

import base64
import hashlib
import json
import os
import sys

from fido2.cbor import decode
from fido2.cose import CoseKey
from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2
from fido2.hid import list_descriptors, open_device

node, pin, rp_id, credential_id, public_key = sys.argv[1:6]
credential_id = bytes.fromhex(credential_id)


def check(fact, sentence):
    if not fact:
        sys.exit(f"disagreement: {sentence}")


check(any(d.path in (node, node.encode()) for d in list_descriptors()), "python-fido2 does not list the key")
ctap = Ctap2(open_device(node))
info = ctap.info
check(info.options.get("clientPin") is True, "no PIN is set")
check(not info.force_pin_change, "a PIN change is still forced")

client_pin = ClientPin(ctap)
tries, _ = client_pin.get_pin_retries()
check(tries == 8, f"{tries} PIN tries are left")

token = client_pin.get_pin_token(pin, ClientPin.PERMISSION.CREDENTIAL_MGMT)
management = CredentialManagement(ctap, client_pin.protocol, token)
parties = management.enumerate_rps()
check([p[CredentialManagement.RESULT.RP]["id"] for p in parties] == [rp_id], f"relying parties on the key: {parties}")
credentials = management.enumerate_creds(hashlib.sha256(rp_id.encode()).digest())
check(len(credentials) == 1, f"{len(credentials)} credentials on the key")
result = CredentialManagement.RESULT
check(credentials[0][result.CREDENTIAL_ID]["id"] == credential_id, "another credential id than the ledger's")
held = CoseKey.parse(decode(base64.urlsafe_b64decode(public_key + "=" * (-len(public_key) % 4))))
check(dict(CoseKey.parse(credentials[0][result.PUBLIC_KEY])) == dict(held), "the key tells another public key than the tenant holds")

token = client_pin.get_pin_token(pin, ClientPin.PERMISSION.GET_ASSERTION, rp_id)
challenge = hashlib.sha256(os.urandom(32)).digest()
proof = client_pin.protocol.authenticate(token, challenge)
assertion = ctap.get_assertion(rp_id, challenge, pin_uv_param=proof, pin_uv_protocol=client_pin.protocol.VERSION)
assertion.verify(challenge, held)
check(assertion.auth_data.rp_id_hash == hashlib.sha256(rp_id.encode()).digest(), "the assertion is for another relying party")
check(assertion.auth_data.is_user_verified() and assertion.auth_data.is_user_present(), "no user in the assertion")
print(json.dumps({"credential": credential_id.hex(), "user": assertion.user["id"].hex() if assertion.user else None}))
