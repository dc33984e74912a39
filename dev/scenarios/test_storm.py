"""The promise in a storm, which dev/storm makes longer: rounds of simultaneous logins, between other requests."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from servers import AT_ONCE, PASSWORD, STATUS, Device, Server, at_once, find_alive, identifier_of, make_rotate, stored

LOGIN = "storm"
DISTURBANCES = ("rotation", "logout", "bypass")
HAUNTS = ("/web?debug=1", STATUS, "/web/session/get_session_info?debug=1")


class Storm:
    """One user in one database, the sessions that have ended so far, and the failures."""

    def __init__(self, server, database, seed, has_addon):
        self.server = server
        self.database = database
        self.random = random.Random(seed)  # noqa: S311 for repeatable storms, not for secrets
        self.has_addon = has_addon
        self.answers = Counter()
        self.failures = []
        self.ended = []  # session ids
        self.rotates, self.rotations = False, 0  # 17.0 and 18.0 do not rotate
        self.survivor = None
        self.pool = ThreadPoolExecutor(AT_ONCE + 8)
        self.admin = self.device().login("admin", "admin")
        values = {"name": LOGIN, "login": LOGIN, "password": PASSWORD}
        self.user_id = self.admin.call("res.users", "create", values)["result"]

    def device(self, sid=None):
        device = Device(self.server, self.database, sid)
        device.http.hooks["response"].append(lambda response, **_: self.answers.update([response.status_code]))
        return device

    def run(self, rounds):
        """Run rounds until one of them fails."""
        for number in range(1, rounds + 1):
            disturbances = [name for name in DISTURBANCES if self.random.random() < 0.4]
            try:
                self.run_round(disturbances)
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            if self.failures:
                print(f"round {number} ({', '.join(disturbances) or 'logins alone'}): {self.failures}")
                return
            if number % 50 == 0 or number == rounds:
                print(f"{number} rounds, {len(self.ended)} sessions ended, {self.rotations} rotated", flush=True)
        if self.has_addon:
            self.expect_over(self.ended)
            if rounds >= 100 and self.rotates and not self.rotations:
                self.failures.append("no session was rotated")

    def run_round(self, disturbances):
        devices = [self.device() for _ in range(AT_ONCE)]
        list(self.pool.map(Device.open_login_page, devices))
        if self.survivor and "rotation" in disturbances:
            for file in self.server.files_of(self.survivor.sid):
                if "next_sid" not in stored(file):
                    self.rotates = make_rotate(file)
        ghosts = [self.device(sid) for sid in self.random.sample(self.ended[-200:], min(3, len(self.ended)))]
        old = [self.survivor] if self.survivor else []
        old_sids = [device.sid for device in old]
        actions = [lambda device=device: self.log_in(device) for device in devices]
        actions += [lambda device=device: self.haunt(device) for device in ghosts + old]
        if old and "logout" in disturbances:
            actions.append(lambda: old[0].get("/web/session/logout"))
        if self.has_addon and "bypass" in disturbances:
            actions.append(self.change_bypass)
        at_once(self.pool, actions)
        if not self.has_addon:
            return
        if "bypass" in disturbances:  # several may live now; the next login ends them
            devices.append(self.device().login(LOGIN))
        self.judge(devices + old + ghosts)
        self.ended += old_sids
        self.expect_over(self.ended[-3 * AT_ONCE :])

    def log_in(self, device):
        status = device.send_login(LOGIN).status_code
        if status != 303:
            self.failures.append(f"a login was answered {status}")

    def haunt(self, device):
        """Send requests that save or rotate the session while a login ends it."""
        sid = device.sid
        for path in HAUNTS:
            if "get_session_info" in path:
                device.rpc(path)
            else:
                device.get(path, allow_redirects=False)
        if device.sid != sid and identifier_of(device.sid) == identifier_of(sid):
            self.rotations += 1

    def change_bypass(self):
        for allowed in (True, False, True, False):
            self.admin.call("res.users", "write", [self.user_id], {"allow_multiple_sessions": allowed})

    def judge(self, devices):
        """Check that exactly one session is open, of this round and those before it."""
        living = find_alive(self.pool, devices)
        if len({identifier_of(device.sid) for device in living}) != 1:
            self.failures.append(f"{len(living)} sessions are open")
            return
        [self.survivor] = living[:1]
        self.ended += [device.sid for device in devices if device.sid and device not in living]

    def expect_over(self, sids):
        devices = [self.device(sid) for sid in sids]
        reopened = len(find_alive(self.pool, devices))
        if reopened:
            self.failures.append(f"{reopened} of {len(sids)} ended sessions are open again")


def rage(database, folder, rounds, seed, has_addon):
    """Run the storm on a server of its own. With one database, each request has a database."""
    with Server([database], folder / database) as server:
        storm = Storm(server, database, seed, has_addon)
        storm.run(rounds)
        # Odoo logs this for a transaction that it then repeats
        storm.failures += [line for line in server.unexpected_log_lines() if "could not serialize access" not in line]
    return storm


def test_storm(make_database, plain_database, addon_database, folder, pytestconfig):
    rounds, seed = pytestconfig.option.rounds, pytestconfig.option.seed
    plain = rage(make_database("calm", plain_database), folder, max(rounds // 10, 1), seed, has_addon=False)
    storm = rage(make_database("storm", addon_database), folder, rounds, seed, has_addon=True)
    print("answers without the addon:", dict(plain.answers), "with it:", dict(storm.answers))
    assert plain.failures == storm.failures == []
    assert {code for code in storm.answers if code >= 500} <= set(plain.answers)
