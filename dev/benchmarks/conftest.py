import pytest
from _bench import DATABASES

from devtools.environment import DEV
from servers import ENVIRONMENT

ADDON = "op_single_session_login"
LOAD = f"{ADDON}_load"
# Databases by the modules installed in them. In all but the hashed ones, passwords cost next to nothing.
MODULES = {
    "plain": LOAD,
    "addon": f"{LOAD},{ADDON}",
    "query": f"{ADDON}_query",
    "scan": f"{ADDON}_scan",
    "plain_hashed": "bus,portal",
    "addon_hashed": f"bus,portal,{ADDON}",
}


@pytest.fixture(scope="session", autouse=True)
def bench_databases(make_template, make_database):
    for name, modules in MODULES.items():
        folders = [DEV / "addons", ENVIRONMENT.addon_folder]
        template = make_template(f"bench_{name}", ENVIRONMENT.template, "-i", modules, modules=folders)
        DATABASES[name] = make_database(name, template)
