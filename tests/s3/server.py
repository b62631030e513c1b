"""A server that speaks S3, on this machine alone, with the bucket `pictures` in it.

Its port is the first line of the standard output. It ends, and what it has stored goes, when the standard input is closed.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

KEY = {"accessKey": "tests", "secretKey": "tests-secret"}
PATIENCE_SECONDS = 60


def free_ports(count):
    """Of the system, below those that are given to connections, so that nobody else is given one meanwhile."""
    found = []
    # They are only taken a moment later: servers that start at once look in different places.
    base = 10000 + os.getpid() % 1000 * 16
    while len(found) < count:
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", base))
                found.append(base)
            except OSError:
                pass
        base += 1
    return found


def is_ready(port):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def main():
    weed = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        identity = {"name": "tests", "credentials": [KEY], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config = pathlib.Path(folder, "s3.json")
        config.write_text(json.dumps({"identities": [identity]}))
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = free_ports(8)
        command = [
            weed,
            "server",
            f"-dir={folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={master}",
            f"-master.port.grpc={master_grpc}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            f"-volume.port={volume}",
            f"-volume.port.grpc={volume_grpc}",
            "-volume.max=20",
            "-filer",
            f"-filer.port={filer}",
            f"-filer.port.grpc={filer_grpc}",
            f"-filer.localSocket={folder}/filer.sock",
            "-s3",
            f"-s3.port={s3}",
            f"-s3.port.grpc={s3_grpc}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.localSocket={folder}/s3.sock",
            f"-s3.config={config}",
        ]
        with open(pathlib.Path(folder, "log"), "wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not is_ready(s3):
                if server.poll() is not None or time.monotonic() > until:
                    sys.stderr.write(pathlib.Path(folder, "log").read_text(errors="replace")[-4000:])
                    sys.exit("SeaweedFS did not start")
                time.sleep(0.1)
            create = subprocess.run(
                [weed, "shell", f"-master=127.0.0.1:{master}.{master_grpc}"],
                input=b"s3.bucket.create -name pictures\n",
                capture_output=True,
                timeout=PATIENCE_SECONDS,
            )
            if create.returncode != 0:
                sys.exit(f"no bucket: {create.stderr.decode(errors='replace')[-2000:]}")
            print(s3, flush=True)
            sys.stdin.read()
        finally:
            # Nothing of it is kept, and it would take its time.
            server.kill()
            server.wait()


main()
