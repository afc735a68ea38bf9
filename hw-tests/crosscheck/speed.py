"""Times python-fido2 on a blank key that counts as touched at once.

    python speed.py NODE PIN

Ends with one line of JSON: milliseconds for opening, getInfo, setting the PIN, making a credential (with its token), a silent assertion.
"""

import json
import os
import sys
import time

from fido2.ctap2 import ClientPin, Ctap2
from fido2.hid import open_device

node, pin = sys.argv[1:3]
times = {}


def timed(name, act):
    start = time.perf_counter()
    answer = act()
    times[name] = (time.perf_counter() - start) * 1000
    return answer


device = timed("open", lambda: open_device(node))
# The constructor asks for getInfo by itself; once more is what is timed.
ctap = Ctap2(device)
timed("info", ctap.get_info)
client_pin = ClientPin(ctap)
timed("set_pin", lambda: client_pin.set_pin(pin))


def make():
    token = client_pin.get_pin_token(pin, ClientPin.PERMISSION.MAKE_CREDENTIAL, "example.org")
    data = os.urandom(32)
    return ctap.make_credential(
        data,
        {"id": "example.org", "name": "Example"},
        {"id": b"user", "name": "somebody"},
        [{"type": "public-key", "alg": -7}],
        options={"rk": True},
        pin_uv_param=client_pin.protocol.authenticate(token, data),
        pin_uv_protocol=client_pin.protocol.VERSION,
    )


made = timed("make", make)
allow = [{"type": "public-key", "id": made.auth_data.credential_data.credential_id}]
timed("assert", lambda: ctap.get_assertion("example.org", os.urandom(32), allow, options={"up": False}))
print(json.dumps(times))
