"""Verifies an attestation object with python-fido2's own verifier.

    python attestation.py RECORD.json ROOT.der

RECORD.json is what the ledger keeps for the tenant: attestation object and client data, base64url. ROOT.der is the root that the key's
maker (here: the simulator) publishes. Ends with 0 and one line of JSON, or with the first disagreement. A turned bit must be refused.
"""

import base64
import hashlib
import json
import sys

from fido2.attestation import AttestationVerifier, InvalidData, InvalidSignature, UntrustedAttestation
from fido2.webauthn import AttestationObject, CollectedClientData

record_file, root_file = sys.argv[1:3]


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check(fact, sentence):
    if not fact:
        sys.exit(f"disagreement: {sentence}")


with open(record_file) as file:
    record = json.load(file)
with open(root_file, "rb") as file:
    root = file.read()
attestation = AttestationObject(unbase64(record["attestationObject"]))
client_data = CollectedClientData(unbase64(record["clientDataJSON"]))


class Verifier(AttestationVerifier):
    def ca_lookup(self, attestation_result, auth_data):
        return root


verifier = Verifier()
verifier.verify_attestation(attestation, client_data.hash)
check(client_data.type == "webauthn.create", f"client data of type {client_data.type}")
data = attestation.auth_data
check(data.rp_id_hash == hashlib.sha256(record["rpId"].encode()).digest(), "another relying party")
check(data.is_user_present() and data.is_user_verified(), "no user in the attestation")
check(data.credential_data.credential_id == unbase64(record["credential"]), "another credential id than the record's")

# The verifier must be able to say no: another challenge, and a signature with a turned bit.
try:
    verifier.verify_attestation(attestation, hashlib.sha256(b"another").digest())
    check(False, "the verifier takes other client data as well")
except (InvalidSignature, InvalidData):
    pass
statement = dict(attestation.att_stmt)
statement["sig"] = statement["sig"][:-1] + bytes([statement["sig"][-1] ^ 1])
try:
    verifier.verify_attestation(AttestationObject.create(attestation.fmt, data, statement), client_data.hash)
    check(False, "the verifier takes a turned bit as well")
except (InvalidSignature, InvalidData, UntrustedAttestation):
    pass
print(json.dumps({"format": attestation.fmt, "aaguid": str(data.credential_data.aaguid)}))
