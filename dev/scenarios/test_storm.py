"""The promise in a storm, which dev/storm makes longer."""

from storm import Storm

from servers import Server


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
