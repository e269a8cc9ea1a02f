"""`python -m webhook serve | inject`. Exit codes: 0, 1 refused, 2 wrong usage, settings or manifests."""

import argparse
import os
import sys
from functools import partial

import service.lean  # noqa: F401 - before anything that imports structlog
from service.server import run
from service.settings import SettingsError
from webhook.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m webhook", description="Mutating admission webhook of tfy-secret-injector.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="answer AdmissionReviews over HTTPS; settings come from the environment (docs/settings.md)")
    inject = commands.add_parser("inject", help="print manifests as the webhook would change them; exit code 1 when it would refuse")
    inject.add_argument(
        "-f", "--filename", action="append", required=True, help="YAML or JSON file, - for standard input; may be given again"
    )
    inject.add_argument("-n", "--namespace", default="default", help="namespace of objects that do not say one (default: default)")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environ(os.environ)
        return _serve(settings) if options.command == "serve" else _inject(settings, options.filename, options.namespace)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _serve(settings: Settings) -> int:
    from webhook.app import run_webhook

    return run(partial(run_webhook, settings))


def _inject(settings: Settings, files: list[str], namespace: str) -> int:
    from webhook.errors import NotAManifest
    from webhook.inject import Injector, inject_files
    from webhook.offline import offline_cluster

    try:
        code = inject_files(files, Injector(offline_cluster(settings), namespace), sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader had enough, as `head` does; nothing is left to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except NotAManifest as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
