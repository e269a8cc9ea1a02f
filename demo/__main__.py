"""`python -m demo`: tell the story, and leave nothing behind, however it ends.

Exit codes: 0 all went as promised, 1 it did not (the message says why), 130 and the like after Ctrl-C or another signal.
"""

import sys
import time
from contextlib import ExitStack

from demo.errors import DemoError
from demo.programs import Server
from demo.scenery import Scenery, set_up
from demo.screen import Screen, standard_screen
from demo.stopping import Stopped, hear_signals, undisturbed
from demo.stage import open_stage
from demo.story import tell


def main() -> int:
    screen = standard_screen()
    hear_signals()
    try:
        play(screen)
    except DemoError as error:
        screen.error(str(error))
        return 1
    except Stopped as stopped:
        screen.say("stopped; nothing is left running")
        return 128 + stopped.number
    except BrokenPipeError:
        return 1  # whoever read us has gone
    return 0


def play(screen: Screen) -> None:
    begun = time.monotonic()
    screen.title("A secret's name in a pod's env, its value in the app's process")
    screen.say("From end to end on this machine, with the real programs; no cluster is needed.")
    with ExitStack() as stack:
        with undisturbed():
            scenery = stack.enter_context(set_up())
        stage = open_stage(screen, scenery, stack)
        tell(stage)
    _check_nothing_left(scenery, stage.broker, stage.webhook)
    screen.heading(f"Done in {time.monotonic() - begun:.1f} seconds; nothing is left running, and no file")
    screen.say("On a cluster:  kubectl apply -k manifests/overlays/dev   (README.md, docs/getting-started.md)")


def _check_nothing_left(scenery: Scenery, *servers: Server) -> None:
    left = [server.name for server in servers if server.running] + [str(p) for p in (scenery.folder, scenery.memory) if p.exists()]
    if left:
        raise DemoError(f"These are left and should not be: {', '.join(left)}")


if __name__ == "__main__":
    sys.exit(main())
