"""`python -m tests.bench [webhook | initcontainer | launcher | stores | page]`: the figures of the design's "Numbers to hold", as ratios within one run."""

import sys

from tests.bench import initcontainer, launcher, page, stores, webhook

BENCHES = {"webhook": webhook.run, "initcontainer": initcontainer.run, "launcher": launcher.run, "stores": stores.run, "page": page.run}


def main() -> None:
    for name in sys.argv[1:] or BENCHES:
        print(f"\n{name}")
        for what, figure in BENCHES[name]():
            print(f"  {what:<58} {figure}", flush=True)


if __name__ == "__main__":
    main()
