"""As much of curl as the README's tour uses, so that the tests need none installed.

Writes the status of each answer to the file descriptor named by STATUS_FD.
"""

import argparse
import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

parser = argparse.ArgumentParser()
parser.add_argument("url", type=urlsplit)
parser.add_argument("-H", dest="headers", action="append", default=[])
parser.add_argument("-d", dest="data", action="append", default=[])
parser.add_argument("--data-urlencode", dest="encoded", action="append", default=[])
parser.add_argument("-X", dest="method")
parser.add_argument("-G", dest="get", action="store_true")
parser.add_argument("-s", action="store_true")
parser.add_argument("-si", dest="include", action="store_true")
arguments = parser.parse_args()

query = arguments.url.query or urlencode(dict(pair.split("=", 1) for pair in arguments.encoded))
headers = dict(header.split(": ", 1) for header in arguments.headers)
body = "&".join(arguments.data)
if body and "Content-Type" not in headers:
    headers["Content-Type"] = "application/x-www-form-urlencoded"
connection = HTTPConnection(arguments.url.netloc, timeout=30)
connection.request(
    arguments.method or ("POST" if body and not arguments.get else "GET"),
    f"{arguments.url.path}?{query}",
    body=body.encode() or None,
    headers=headers,
)
answer = connection.getresponse()
if arguments.include:
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in answer.getheaders()) + "\n")
sys.stdout.write(answer.read().decode())
os.write(int(os.environ["STATUS_FD"]), f"{answer.status}\n".encode())
