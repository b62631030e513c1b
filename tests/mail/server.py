"""A mail server for tests: takes messages, tells of each as one line of JSON on its standard output.

The first line is the port. Its certificate is good for localhost, if one trusts authority.pem.
"""

import argparse
import asyncio
import email
import email.policy
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

HERE = pathlib.Path(__file__).parent


def tell(what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self, options):
        self.options = options
        self.failures = options.fail

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address == self.options.refuse:
            return f"550 5.1.1 no such mailbox {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.failures > 0:
            self.failures -= 1
            return "451 4.3.0 come again"
        if self.options.hang:
            tell({"hanging": True})
            await asyncio.sleep(3600)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        tell(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "hello": session.host_name,
                "encrypted": server.transport.get_extra_info("ssl_object") is not None,
                "user": getattr(session.auth_data, "login", b"").decode() if session.auth_data else None,
                "headers": [[name, str(value)] for name, value in message.items()],
                "defects": [str(defect) for part in message.walk() for defect in part.defects],
                "text": text.get_content(),
                "html": html.get_content() if html else None,
            }
        )
        return "250 OK"


def authenticate(options):
    def check(server, session, envelope, mechanism, data):
        good = data.login.decode() == "culturepass" and data.password.decode() == options.password
        return AuthResult(success=good, handled=False, auth_data=data)

    return check


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", choices=["starttls", "implicit", "none"], default="starttls")
    parser.add_argument("--password")
    parser.add_argument("--refuse", help="an address")
    parser.add_argument("--fail", type=int, default=0, help="so many messages are refused for now")
    parser.add_argument("--hang", action="store_true", help="never answers to a message")
    options = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "server.pem")
    handler = Handler(options)

    def make():
        return SMTP(
            handler,
            hostname="mail.test",
            enable_SMTPUTF8=True,
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            authenticator=authenticate(options),
            auth_required=options.password is not None,
            auth_require_tls=options.tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    implicit = context if options.tls == "implicit" else None
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with whoever started it.
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
