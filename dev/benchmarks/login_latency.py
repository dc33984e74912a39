"""What a login costs with many session files: without the addon, with it, with a scan of all files."""

import base64
import os
import shutil
import statistics

from _bench import DATABASES, bench_server, make_users, print_ratio, timed

from servers import Device, odoo, shell

NAMES = ("plain", "addon", "scan")
SIZES = (0, 10_000, 100_000, 1_000_000)
ROUNDS = 100
SCANS = {0: 20, 10_000: 10, 100_000: 5, 1_000_000: 2}


def test_login_latency():
    title = "a login among so many session files / a login without the addon among none"
    with bench_server(title, *NAMES) as server:
        logins = {name: make_users(server, name, 1)[0] for name in NAMES}
        base = None
        for size in SIZES:
            fill(server, size)
            times = measure(server, logins, SCANS[size])
            medians = {name: statistics.median(durations) for name, durations in times.items()}
            base = base or medians["plain"]
            for name, label in (("plain", "without"), ("addon", "with the addon"), ("scan", "with a full scan")):
                print_ratio(f"{size:>9,} files, {label}", [duration / base for duration in times[name]])
            own, scan = (medians[name] - medians["plain"] for name in ("addon", "scan"))
            files = float(odoo("-d", DATABASES["addon"], f"--data-dir={server.data}", script=shell("time_files")))
            print_ratio(f"{size:>9,} files, scan's share / addon's", [scan / own])
            print_ratio(f"{size:>9,} files, scan's share / addon's with files", [scan / files])
        for child in server.sessions.iterdir():
            shutil.rmtree(child)


def measure(server, logins, scans):
    times = {name: [] for name in logins}
    for number in range(ROUNDS):
        for name, login in logins.items():
            if name == "scan" and number >= scans:
                continue
            device = Device(server, DATABASES[name])
            times[name].append(timed(device.json_login, login))
    return times


def fill(server, size):
    """Bring the store to a number of sessions, whose content is that of one that Odoo has made."""
    sample, *_ = server.files_of(Device(server, DATABASES["plain"]).login("admin", "admin").sid)
    content, is_hexadecimal = sample.read_bytes(), len(sample.name) == 40
    for _ in range(size - sum(len(files) for _, _, files in os.walk(server.sessions))):
        sid = os.urandom(20).hex() if is_hexadecimal else base64.urlsafe_b64encode(os.urandom(63)).decode()
        folder = server.sessions / sid[:2]
        folder.mkdir(exist_ok=True)
        (folder / sid).write_bytes(content)
