"""Every name that users, Kubernetes and our own parts see, spelled once. docs/annotations.md is made from `ANNOTATIONS`.

Paths are those inside the init container. Nothing here decides anything.
"""

PREFIX = "tfy-secret.dev/"
API_GROUP = "tfy-secret.dev"
API_VERSION = "tfy-secret.dev/v1alpha1"

INJECT_LABEL = PREFIX + "inject"
INJECT_ENABLED = "enabled"  # on a namespace
INJECT_DISABLED = "disabled"  # on a pod

MODE = PREFIX + "mode"
MODE_OF = PREFIX + "mode."  # then a container's name
COMMAND_OF = PREFIX + "command."  # then a container's name
FILES = PREFIX + "files"
TEMPLATES = PREFIX + "templates"
INIT_POSITION = PREFIX + "init-position"

ANNOTATIONS: dict[str, tuple[str, str]] = {
    MODE: (
        "`auto` (default), `envfile`, `exec`",
        "How environment variables are delivered. `auto` picks `envfile` where the API server and every node's kubelet can, else `exec`.",
    ),
    MODE_OF + "<container>": (
        "as above",
        "The same for one container.",
    ),
    COMMAND_OF + "<container>": (
        'JSON list, e.g. `["/app", "--serve"]`',
        "What a container without `command` runs, for mode `exec`: as if `command` were set. Without it the image's registry is asked.",
    ),
    FILES: (
        "YAML list of `{mount_path, secret_fqn, mode?, containers?}`",
        (
            "Secrets as files. `mount_path` is the absolute path of the file, `mode` its permissions (default `'0444'`), "
            "`containers` the containers that get it (default: all app containers)."
        ),
    ),
    TEMPLATES: (
        "YAML list of `{config_map, key, mount_path, format, mode?, containers?, optional?}`",
        (
            "Config files from ConfigMaps, with the values of the references in them in place ([templates.md](templates.md)). "
            "`format` is `json`, `yaml`, `env`, `properties` or `raw`; `mount_path`, `mode` and `containers` as for files; "
            "`optional: true` makes an empty file of a ConfigMap or key that is not there."
        ),
    ),
    INIT_POSITION: (
        "`first` (default), `last`, `after:<container>`",
        "Where our init container stands among the pod's init containers. Those before it cannot use secrets.",
    ),
}

# On SecretGroups that the broker writes: what it is in the middle of (names alone), and who made the group.
PENDING = PREFIX + "pending"
CREATED_BY = PREFIX + "created-by"

INIT_CONTAINER = "tfy-secret-init"
VOLUME_PREFIX = "tfy-secrets-"  # then the container's name; plural, so that no container's volume is TOKEN_VOLUME
TEMPLATE_VOLUME_PREFIX = "tfy-secret-template-"  # then a digest of ConfigMap, key and whether it may be missing
TOKEN_VOLUME = "tfy-secret-token"  # noqa: S105 - the name of a volume
PLAN_ENV = "TFY_SECRET_PLAN"

AUDIENCE = "tfy-secret.dev"
TOKEN_SECONDS = 600  # the shortest life that the API server grants

TOKEN_FOLDER = "/tfy-secret/token"  # noqa: S105 - a path
TOKEN_FILE = "/tfy-secret/token/token"  # noqa: S105 - a path
VOLUMES_FOLDER = "/tfy-secret/volumes"
ENV_FOLDER = "env"  # inside a container's volume
FILES_FOLDER = "files"
TEMPLATES_FOLDER = "templates"
SOURCES_FOLDER = "/tfy-secret/templates"  # in our init container alone: one folder for each ConfigMap's key
SOURCE_FILE = "source"  # what the key is called there
TERMINATION_LOG = "/dev/termination-log"

# Mode exec: one folder of the container's volume, which the container mounts at EXEC_MOUNT.
EXEC_FOLDER = "exec"
EXEC_MOUNT = "/tfy-secret/run"
EXEC_ENV = "env"
EXEC_LAUNCHER = "launcher"
LAUNCHER = "/launcher"  # in the init container's image
PLACEHOLDER = "tfy-secret:"  # `$(tfy-secret:NAME)` in an argument: the launcher puts the variable in

ENVFILE_KEY = "VALUE"  # one variable a file, so the key inside can be the same everywhere

RESOLVE_PATH = "/v1/resolve"
